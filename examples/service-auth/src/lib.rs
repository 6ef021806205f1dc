//! Authentication between services: a service accepts the calls of known programs, proven by a signature or a certificate.
//!
//! The client has a [`CallSigner`], an interceptor that adds the person on whose behalf it calls and signs the call.
//! The server has
//! an [`AuthInterceptor`], which verifies the call and passes an [`Identity`] to the handlers. Unproven identity
//! metadata is refused
//! and never ignored, so that a misconfigured caller notices the error.
//!
//! ```
//! use service_auth::{AuthInterceptor, CallKey, CallSigner, GATEWAY, Identity, Person, Proof, USER_SERVICE};
//! use tonic::{GrpcMethod, service::Interceptor};
//!
//! let proof = Proof::signed(CallKey::generate().unwrap());
//! let mut gateway = CallSigner::new(GATEWAY, USER_SERVICE, &proof);
//! let interceptor = AuthInterceptor::new(USER_SERVICE, &proof);
//!
//! let kim = Person::user(uuid::Uuid::from_u128(1));
//! let mut request = tonic::Request::new(());
//! request.extensions_mut().insert(kim);
//! // A generated client adds the method.
//! request.extensions_mut().insert(GrpcMethod::new("com.hearlers.v1.service.UserService", "UpdateUser"));
//! let method = "/com.hearlers.v1.service.UserService/UpdateUser";
//! let verified = interceptor.verify(method, gateway.call(request).unwrap()).unwrap();
//! assert_eq!(Identity::of(&verified).and_then(|identity| identity.person), Some(kim));
//!
//! let mut forged = tonic::Request::new(());
//! forged.metadata_mut().insert("hearlers-user", kim.id.to_string().parse().unwrap());
//! let refused = interceptor.verify(method, forged).unwrap_err();
//! assert_eq!(refused.code(), tonic::Code::Unauthenticated);
//! ```
//!
//! | module | |
//! |---|---|
//! | [`settings`] | the flags of both sides |
//! | [`secrets`] | secrets from a variable, a flag or a file |
//! | [`crypto`] | the cryptography of `jsonwebtoken` |
//! | [`security`] | the log of security events |
//! | [`tls`] | certificates of both sides |
//! | [`limits`] | limits on the size and duration of calls |
//! | [`operators`] | authentication of operators, who may handle parked messages |
mod auth_interceptor;
mod call_keys;
mod call_signer;
pub mod crypto;
mod guarded;
mod identity;
mod key;
mod keys;
pub mod limits;
pub mod operators;
mod proof;
mod refused;
pub mod secrets;
pub mod security;
pub mod settings;
pub mod tls;
mod token;
mod watch;

pub use auth_interceptor::AuthInterceptor;
pub use call_keys::{CallKey, CallKeys, CallerKeys};
pub use call_signer::CallSigner;
pub use guarded::Guarded;
pub use identity::{Identity, Person};
pub use key::Key;
pub use keys::{BadKeys, Keys};
pub use proof::Proof;
pub use refused::Refused;

/// The gateway's name in tokens and certificates.
pub const GATEWAY: &str = "gateway";
/// The user service's name in tokens and certificates.
pub const USER_SERVICE: &str = "user-service";
/// The counseling service's name in tokens and certificates.
pub const COUNSELING_SERVICE: &str = "counseling-service";
