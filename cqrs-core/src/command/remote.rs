//! The parameter with which a handler or a subscriber sends a command to another service.
use crate::{
    aggregate::unit_of_work::UnitOfWork,
    context::{Context, FromContext, Needs},
    error::{Fault, Rejection},
    event::{RemoteCommand, outgoing_command},
};
use std::{fmt, marker::PhantomData};

/// Sends commands of one contract to another service, as the parameter of a command's handler or of a subscriber.
///
/// The command is a row of the log in the batch of everything else that the handler stages, and the relay sends it from
/// there: it is sent if the handler commits, and not otherwise. It arrives at least once, in the order of its key. Its
/// idempotency key is the id of its row, so the other service carries it out once (`#[receive]`). The sender does not
/// wait. An answer is an integration event of the other service, and a process that waits for it says how long
/// ([`Reaction::send_remote`](crate::Reaction::send_remote)).
///
/// If no service receives the command, it stays in its topic.
///
/// ```
/// use cqrs_core::{Command, HandlerResult, Remote, RemoteCommand, handler};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Clone, Serialize, Deserialize, RemoteCommand)]
/// #[remote_command(name = "com.example.mail.send.v1", topic = "mail.commands.v1", key = user)]
/// struct SendMail { user: String }
///
/// #[derive(Clone, Serialize, Deserialize, Command)]
/// struct Invite { user: String }
///
/// #[handler]
/// async fn invite(command: Invite, mail: Remote<SendMail>) -> HandlerResult<()> {
///     mail.send(SendMail { user: command.user })?;
///     Ok(())
/// }
/// ```
pub struct Remote<C> {
    unit: UnitOfWork,
    of: PhantomData<fn(C)>,
}
impl<C: RemoteCommand> Remote<C> {
    /// Sends a command to the other service, once the handler has committed.
    ///
    /// # Errors
    /// Fails when the key is empty, when the command cannot be encoded, or when it is larger than 1,000,000 bytes.
    pub fn send(&self, command: C) -> Result<(), Fault> {
        self.unit.send_remote(outgoing_command(&command)?);
        Ok(())
    }
}
impl<C: RemoteCommand> FromContext for Remote<C> {
    fn from_context(context: &Context) -> Result<Self, Rejection> {
        let unit = context.unit.cloned();
        let unit = unit.ok_or_else(|| Rejection::missing("a unit of work (a query sends no commands)"))?;
        Ok(Remote { unit, of: PhantomData })
    }
    fn needs(needs: &mut Needs) {
        needs.remote(C::TOPIC, C::NAME, !C::PERSONAL.is_empty());
    }
}
impl<C: RemoteCommand> fmt::Debug for Remote<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Remote({})", C::NAME)
    }
}
