//! Carries out the commands that other services send: each message becomes one command of this service.
use crate::{
    command::{Dispatch, bus::carry_out},
    consumer::parking::permanent,
    context::Context,
    error::{BoxError, Fault},
    event::{RawEvent, RemoteCommand, received_command},
    message::AsCommand,
    metadata::{Metadata, framework_key},
    registry::{StoredCommandError, SubscriberError},
    schedule::Schedulable,
};
use futures_util::future::BoxFuture;
use std::sync::Arc;

/// Carries out the command of a message. The message's id is its idempotency key, so it is carried out once.
///
/// A command that the domain refuses is done, since another attempt would be refused again. The sender learns of it by
/// an event that the handler appends, or by the end of its patience.
#[doc(hidden)]
pub fn receive<'a, C, R>(
    context: &'a Context<'a>,
    raw: RawEvent,
    accept: fn(C) -> Result<R, BoxError>,
) -> BoxFuture<'a, Result<(), SubscriberError>>
where
    C: RemoteCommand,
    R: Schedulable,
    AsCommand: Dispatch<R>,
{
    Box::pin(async move {
        let unit = context.unit.ok_or_else(|| failed(Fault::internal("a command of another service is a message")))?;
        let received = received_command::<C>(&raw).map_err(SubscriberError::Unreadable)?;
        let command = accept(received).map_err(|error| SubscriberError::Failed(permanent(error)))?;
        let metadata =
            Metadata { key: Some(framework_key::of_other_service(raw.id)), ..Metadata::clone(context.metadata) };
        match carry_out::<R, AsCommand>(context.runtime, command, &Arc::new(metadata)).await {
            Ok(()) => Ok(()),
            Err(StoredCommandError::Refused(reason)) => {
                let (group, name, message) = (unit.name(), C::NAME, raw.id);
                context.runtime.meter.message(group, "refused");
                tracing::warn!(group, command = name, %message, reason, "the command of another service was refused");
                Ok(())
            }
            Err(StoredCommandError::Transient(error)) => {
                unit.note_transient();
                Err(SubscriberError::Failed(error))
            }
            Err(StoredCommandError::Unreadable(error) | StoredCommandError::Failed(error)) => {
                Err(SubscriberError::Failed(error))
            }
            Err(gone @ StoredCommandError::Gone) => Err(SubscriberError::Failed(gone.into())),
        }
    })
}
fn failed(fault: Fault) -> SubscriberError {
    SubscriberError::Failed(fault.into())
}
