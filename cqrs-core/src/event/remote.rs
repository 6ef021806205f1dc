//! Remote commands: commands that a service sends to another one, typed by their contract.
use crate::{
    codec::PersonalFields,
    error::{BoxError, Fault},
    event::{
        entry::OutgoingMessage,
        publish::checked,
        subscribable::{RawEvent, Source},
    },
};

/// The name of the event that carries a command to another service.
pub(crate) const COMMAND_SENT: &str = "command.sent";

/// A command that a service sends to another one: a name, the topic of the service that carries it out, a key that
/// keeps order, and bytes.
///
/// The trait is derived, or generated from a protobuf contract. A handler or a subscriber sends it with
/// [`Remote`](crate::Remote), and a process with [`Reaction::send_remote`](crate::Reaction::send_remote). The other
/// service carries it out with `#[receive]`. It is no integration event, so it can be neither published nor subscribed
/// to.
///
/// ```
/// use cqrs_core::RemoteCommand;
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Clone, Serialize, Deserialize, RemoteCommand)]
/// #[remote_command(name = "com.example.inventory.reserve.v1", topic = "inventory.commands.v1", key = order)]
/// struct ReserveGoods { order: String, amount: u64 }
///
/// let bytes = ReserveGoods { order: "7".into(), amount: 3 }.encode().unwrap();
/// assert_eq!(ReserveGoods::decode(&bytes).unwrap().key(), "7");
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a command to another service",
    note = "derive it: `#[derive(Clone, Serialize, Deserialize, RemoteCommand)]`, or generate it from a protobuf contract"
)]
pub trait RemoteCommand: Clone + Send + Sync + Sized + 'static {
    /// The CloudEvents `type`, with its major version.
    const NAME: &'static str;
    /// The topic of the service that carries it out.
    const TOPIC: &'static str;
    /// The content type of the bytes, the CloudEvents `datacontenttype`, such as `application/json`.
    const CONTENT_TYPE: &'static str;
    /// The personal fields. `#[personal]` writes this constant.
    #[doc(hidden)]
    const PERSONAL: &'static PersonalFields = &PersonalFields::NONE;
    /// Returns the key. All commands of one key are carried out in the order in which they were committed.
    fn key(&self) -> String;
    /// Encodes the command for the transport.
    ///
    /// # Errors
    /// Returns an error when the command has no form in this encoding. The command that sends it is then refused.
    fn encode(&self) -> Result<Vec<u8>, BoxError>;
    /// Decodes a command that [`encode`](Self::encode) has written.
    ///
    /// # Errors
    /// Returns an error when the bytes are not of this type. Such a record is parked, with the later ones of its key.
    fn decode(bytes: &[u8]) -> Result<Self, BoxError>;
}

/// Returns the outgoing message of a command.
///
/// # Errors
/// Fails when the key is empty, when the command cannot be encoded, or when the body is larger than 1,000,000 bytes.
pub(crate) fn outgoing_command<C: RemoteCommand>(command: &C) -> Result<OutgoingMessage, Fault> {
    checked((C::TOPIC, C::NAME, C::CONTENT_TYPE), command.key(), || command.encode())
}

/// Decodes a received command.
///
/// # Errors
/// Fails when the content type is another one than that of the contract, or when the bytes cannot be decoded.
pub(crate) fn received_command<C: RemoteCommand>(raw: &RawEvent) -> Result<C, BoxError> {
    let source = Source::Topic { topic: C::TOPIC, name: C::NAME, content_type: C::CONTENT_TYPE };
    source.reads(raw.content_type.as_deref())?;
    C::decode(&raw.bytes)
}
