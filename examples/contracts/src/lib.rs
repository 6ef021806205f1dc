//! `proto/` as Rust: the only crate that two services share.
//!
//! Messages, a client and a server trait for each service, and the events that services tell each other. All of it is
//! generated at build time; `proto/README.md` says which file holds what, and how it may change.
//!
//! ```
//! use contracts::v1::{model::Gender, service::UpdateUserRequest};
//!
//! let request = UpdateUserRequest {
//!     user_id: "0198c0de-0000-7000-8000-000000000001".into(),
//!     gender: Some(Gender::Female.into()),
//!     ..Default::default()
//! };
//! assert_eq!(request.gender().as_str_name(), "GENDER_FEMALE"); // the name that JSON shows
//! assert_eq!(request.nickname, None); // absent: stays as it is
//! ```
//!
//! With the feature `events`, each message that `proto/` declares an event also is a `cqrs_core::Contract` (it can be
//! published) and `cqrs_core::Heard` (it can be subscribed to).
//!
//! ```
//! # #[cfg(feature = "events")] {
//! use contracts::v1::message::{CounselReplied, TOPICS};
//! use cqrs_core::Contract;
//!
//! let replied = CounselReplied { user_id: "u-1".into(), exchange_id: "e-1".into(), ..Default::default() };
//! assert_eq!(CounselReplied::NAME, "com.hearlers.v1.counsel.replied");
//! assert_eq!(replied.key(), "u-1");
//! assert_eq!(<CounselReplied as Contract>::decode(&replied.encode()).unwrap(), replied);
//! assert!(TOPICS.contains(&CounselReplied::TOPIC));
//! # }
//! ```

/// What `proto/` says, whole, options included: for server reflection and for tests.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

/// The request metadata that says who asks: a UUID. It counts only with a proof that the gateway says so: the signed
/// [`TOKEN_METADATA`], or the gateway's own certificate.
pub const USER_METADATA: &str = "hearlers-user";

/// The request metadata that says what the person may do: a name of `Authority`. Believed as [`USER_METADATA`] is.
pub const AUTHORITY_METADATA: &str = "hearlers-authority";

/// The request metadata that proves who calls and for whom: signed, for one service, for a minute.
pub const TOKEN_METADATA: &str = "hearlers-token";

/// Why `ReserveTokens` refuses: the `reason` of its error details.
pub const NO_REMAINING_TOKENS: &str = "NO_REMAINING_TOKENS";

/// The protobuf packages `com.hearlers.v1.*`.
pub mod v1 {
    /// What the others are described with.
    #[allow(missing_docs, clippy::all, reason = "generated")]
    pub mod common {
        tonic::include_proto!("com.hearlers.v1.common");
    }

    /// People, counsels and counsellors, as services show them.
    #[allow(missing_docs, clippy::all, reason = "generated")]
    pub mod model {
        tonic::include_proto!("com.hearlers.v1.model");
    }

    /// Requests and responses, a client and a server for each service.
    #[allow(missing_docs, clippy::all, reason = "generated")]
    pub mod service {
        tonic::include_proto!("com.hearlers.v1.service");
    }

    /// Events: what services tell each other.
    #[allow(missing_docs, clippy::all, reason = "generated")]
    pub mod message {
        tonic::include_proto!("com.hearlers.v1.message");

        /// Named as its siblings are; `proto/` keeps the original's name.
        pub use self::{
            CounselCreatedPayload as CounselCreated, CounselMessageCreatedPayload as CounselMessageCreated,
            UserUpdatedPayload as UserUpdated,
        };

        #[cfg(feature = "events")]
        include!(concat!(env!("OUT_DIR"), "/events.rs"));
    }
}
