//! The contracts in `proto/` as Rust: the only crate that two services share.
//!
//! It contains the messages, a client and a server trait for each service, and the integration events. All of it is
//! generated
//! at build time; `proto/README.md` describes the files and the rules of compatibility.
//!
//! ```
//! use contracts::v1::{model::Gender, service::UpdateUserRequest};
//!
//! let request = UpdateUserRequest {
//!     user_id: "0198c0de-0000-7000-8000-000000000001".into(),
//!     gender: Some(Gender::Female.into()),
//!     ..Default::default()
//! };
//! assert_eq!(request.gender().as_str_name(), "GENDER_FEMALE"); // the name in JSON
//! assert_eq!(request.nickname, None); // absent: the value is kept
//! ```
//!
//! With the feature `events`, each message that `proto/` declares an event also is a `cqrs_core::IntegrationEvent` (it
//! can be
//! published) and `cqrs_core::Subscribable` (it can be subscribed to).
//!
//! ```
//! # #[cfg(feature = "events")] {
//! use contracts::v1::message::{CounselReplied, TOPICS};
//! use cqrs_core::IntegrationEvent;
//!
//! let replied = CounselReplied { user_id: "u-1".into(), exchange_id: "e-1".into(), ..Default::default() };
//! assert_eq!(CounselReplied::NAME, "com.hearlers.v1.counsel.replied");
//! assert_eq!(replied.key(), "u-1");
//! assert_eq!(<CounselReplied as IntegrationEvent>::decode(&replied.encode().unwrap()).unwrap(), replied);
//! assert!(TOPICS.contains(&CounselReplied::TOPIC));
//! # }
//! ```
mod access;
mod secret;
#[cfg(feature = "events")]
mod time;

pub use access::{access_of, rpcs};
#[cfg(feature = "events")]
pub use time::iso;

/// The descriptors of `proto/` with all options, for server reflection and tests.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

/// The request metadata with the person's id, a UUID. It is accepted only with the gateway's proof: the signed
/// [`TOKEN_METADATA`], or the gateway's certificate.
pub const USER_METADATA: &str = "hearlers-user";

/// The request metadata with the person's permissions, a name of `Authority`. It needs the same proof as
/// [`USER_METADATA`].
pub const AUTHORITY_METADATA: &str = "hearlers-authority";

/// The request metadata with the signed token of the caller and the person, valid for one service and one minute.
pub const TOKEN_METADATA: &str = "hearlers-token";

/// The request metadata with the language of the person, `ko` or `en`. A service writes to the person in it; Korean is the
/// default.
pub const LANGUAGE_METADATA: &str = "hearlers-language";

/// The `reason` in the error details of `ReserveTokens` when no token is left.
pub const NO_REMAINING_TOKENS: &str = "NO_REMAINING_TOKENS";

/// The `reason` in the error details of a message for which no token is held.
pub const NO_RESERVATION: &str = "NO_RESERVATION";

/// The `reason` in the error details of a message without the required consents.
pub const CONSENT_REQUIRED: &str = "CONSENT_REQUIRED";

/// The current version of the text that a person consents to. A new text gets a new version, and needs new consents.
pub const CONSENT_TEXT_VERSION: &str = "2026-11";

/// The protobuf packages `com.hearlers.v1.*`.
pub mod v1 {
    /// The option that says who may call an RPC.
    #[allow(clippy::all, reason = "generated")]
    pub mod access {
        tonic::include_proto!("com.hearlers.v1.access");
    }

    /// The models that several contexts share.
    #[allow(clippy::all, reason = "generated")]
    pub mod common {
        tonic::include_proto!("com.hearlers.v1.common");
    }

    /// The models: people, counsels and counsellors.
    #[allow(clippy::all, reason = "generated")]
    pub mod model {
        tonic::include_proto!("com.hearlers.v1.model");
    }

    /// The requests and responses, and a client and a server for each service.
    #[allow(clippy::all, reason = "generated")]
    pub mod service {
        tonic::include_proto!("com.hearlers.v1.service");
    }

    /// The integration events.
    #[allow(clippy::all, reason = "generated")]
    pub mod message {
        tonic::include_proto!("com.hearlers.v1.message");

        // Aliases in the style of the other events; `proto/` keeps the names of the original.
        pub use self::{
            CounselCreatedPayload as CounselCreated, CounselMessageCreatedPayload as CounselMessageCreated,
            UserUpdatedPayload as UserUpdated,
        };

        #[cfg(feature = "events")]
        include!(concat!(env!("OUT_DIR"), "/com.hearlers.v1.message.events.rs"));
    }
}
