//! Integration events: the messages that a service publishes to other services.
use crate::{codec::PersonalFields, error::BoxError};

/// An event that a service publishes to other services: a name, a topic, a key that keeps order, and bytes.
///
/// The trait is derived, or generated from a protobuf contract. By hand it looks like this:
///
/// ```
/// use cqrs_core::{BoxError, IntegrationEvent};
///
/// #[derive(Clone)]
/// struct UserRegistered { user_id: String }
///
/// impl IntegrationEvent for UserRegistered {
///     const NAME: &'static str = "com.example.user.registered.v1";
///     const TOPIC: &'static str = "user.events.v1";
///     const CONTENT_TYPE: &'static str = "text/plain";
///     fn key(&self) -> String { self.user_id.clone() }
///     fn encode(&self) -> Result<Vec<u8>, BoxError> { Ok(self.user_id.clone().into_bytes()) }
///     fn decode(bytes: &[u8]) -> Result<Self, BoxError> {
///         Ok(UserRegistered { user_id: String::from_utf8(bytes.to_vec())? })
///     }
/// }
/// assert_eq!(UserRegistered::decode(b"kim").unwrap().key(), "kim");
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an integration event",
    note = "derive it: `#[derive(Clone, Serialize, Deserialize, IntegrationEvent)]`, or generate it from a protobuf contract"
)]
pub trait IntegrationEvent: Clone + Send + Sync + Sized + 'static {
    /// The CloudEvents `type`, with its major version.
    const NAME: &'static str;
    /// The topic to which it is published.
    const TOPIC: &'static str;
    /// The content type of the bytes, the CloudEvents `datacontenttype`, such as `application/json`. It is stored with
    /// the outgoing message and sent in the header `content-type`.
    const CONTENT_TYPE: &'static str;
    /// The personal fields. `#[personal]` writes this constant.
    #[doc(hidden)]
    const PERSONAL: &'static PersonalFields = &PersonalFields::NONE;
    /// Returns the key. All integration events of one key are delivered in the order in which they were committed.
    fn key(&self) -> String;
    /// Encodes the event for the transport.
    ///
    /// # Errors
    /// Returns an error when the event has no form in this encoding. The command is then refused.
    fn encode(&self) -> Result<Vec<u8>, BoxError>;
    /// Decodes an event that [`encode`](Self::encode) has written.
    ///
    /// # Errors
    /// Returns an error when the bytes are not of this type. Such a record is parked, with the later ones of its key.
    fn decode(bytes: &[u8]) -> Result<Self, BoxError>;
}
