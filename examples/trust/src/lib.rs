//! Whom a service believes: the gateway, by its signature or its certificate, and nobody else.
//!
//! The side that calls has a [`Vouch`]: an interceptor that says for whom it calls and signs that. The side that is called has
//! a [`Guard`]: an interceptor that checks it and hands handlers an [`Identity`]. What a stranger writes into that metadata
//! is refused; it is never merely ignored, so that nobody believes to have been heard.
//!
//! ```
//! use tonic::service::Interceptor;
//! use trust::{GATEWAY, Guard, Identity, Key, Person, Proof, USER_SERVICE, Vouch};
//!
//! let key = Key::new("a secret that both sides know, 32 bytes").unwrap();
//! let mut gateway = Vouch::new(GATEWAY, USER_SERVICE, &Proof::signed(key.clone()));
//! let mut guard = Guard::new(USER_SERVICE, &Proof::signed(key));
//!
//! let kim = Person::user(uuid::Uuid::from_u128(1));
//! let mut request = tonic::Request::new(());
//! request.extensions_mut().insert(kim);
//! let believed = guard.call(gateway.call(request).unwrap()).unwrap();
//! assert_eq!(Identity::of(&believed).and_then(|it| it.person), Some(kim));
//!
//! let mut forged = tonic::Request::new(());
//! forged.metadata_mut().insert("hearlers-user", kim.id.to_string().parse().unwrap());
//! let refused = guard.call(forged).unwrap_err();
//! assert_eq!(refused.code(), tonic::Code::Unauthenticated);
//! ```
//!
//! | module | |
//! |---|---|
//! | [`settings`] | the flags of both sides |
//! | [`secrets`] | secrets from a variable, a flag or a file |
//! | [`tls`] | certificates of both sides |
//! | [`limits`] | how large and how long a call may be |
//! | [`operators`] | who may look into what got stuck, and put it right |
mod guard;
mod identity;
mod key;
pub mod limits;
pub mod operators;
mod proof;
mod refused;
pub mod secrets;
pub mod settings;
pub mod tls;
mod token;
mod vouch;

pub use guard::Guard;
pub use identity::{Identity, Person};
pub use key::Key;
pub use proof::Proof;
pub use refused::Refused;
pub use vouch::Vouch;

/// The gateway, as tokens and certificates call it.
pub const GATEWAY: &str = "gateway";
/// The user service, as tokens and certificates call it.
pub const USER_SERVICE: &str = "user-service";
/// The counseling service, as tokens and certificates call it.
pub const COUNSELING_SERVICE: &str = "counseling-service";
