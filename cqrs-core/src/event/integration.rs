//! Integration events: the messages that a service publishes to other services.
use crate::error::BoxError;

/// An event that a service publishes to other services: a name, a topic, a key that keeps order, and bytes.
///
/// The implementation is usually generated from the protobuf contract. By hand it looks like this:
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
///     fn key(&self) -> String { self.user_id.clone() }
///     fn encode(&self) -> Vec<u8> { self.user_id.clone().into_bytes() }
///     fn decode(bytes: &[u8]) -> Result<Self, BoxError> {
///         Ok(UserRegistered { user_id: String::from_utf8(bytes.to_vec())? })
///     }
/// }
/// assert_eq!(UserRegistered::decode(b"kim").unwrap().key(), "kim");
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an integration event",
    note = "return an integration event: generated from the protobuf contract, or with `impl IntegrationEvent` by hand"
)]
pub trait IntegrationEvent: Clone + Send + Sync + Sized + 'static {
    /// The CloudEvents `type`, with its major version.
    const NAME: &'static str;
    /// The topic to which it is published.
    const TOPIC: &'static str;
    /// Returns the key. All integration events of one key are delivered in the order in which they were committed.
    fn key(&self) -> String;
    /// Encodes the event for the transport.
    fn encode(&self) -> Vec<u8>;
    /// Decodes an event that [`encode`](Self::encode) has written.
    ///
    /// # Errors
    /// Returns an error when the bytes are not of this type. Such a record is not skipped: it is logged and holds its
    /// key.
    fn decode(bytes: &[u8]) -> Result<Self, BoxError>;
}
