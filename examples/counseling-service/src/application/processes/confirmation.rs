//! The first step of an exchange: the user service confirms that a token is held for it.
use crate::{
    application::{
        commands::Attempt,
        ports::{Hold, NotConfirmed, Reservations},
    },
    domain::counsel::{CounselError, ExchangeId, UserId},
};
use cqrs_core::{Committed, Error, ErrorKind, Fault, HandlerResult, app::WithMetadata};

/// The exchange that a request names, and the attempt that it holds a token for. Both are absent for a client of the
/// original.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Requested {
    pub exchange: Option<ExchangeId>,
    pub attempt: Option<u32>,
}

/// The attempt that a command may begin.
pub(super) struct Confirmation {
    user: UserId,
    attempt: Attempt,
    /// The hold that this request has taken over: it is released when the request is refused. The holds of others are
    /// released by those who made them.
    taken_over: Option<Hold>,
    /// The cause of a hold that is not confirmed.
    refused: Option<NotConfirmed>,
}

/// Asks the user service for the hold of an exchange. Without one, the exchange may still have a reply, so a request that
/// names it goes on.
pub(super) async fn confirm(
    app: &WithMetadata,
    user: UserId,
    requested: Requested,
) -> HandlerResult<Confirmation, CounselError> {
    let reservations = app.dependency::<dyn Reservations>()?;
    let confirmed = reservations.confirm(user, requested.exchange).await;
    // Another hold of the same exchange belongs to another request.
    let confirmed = confirmed.and_then(|hold| match requested.attempt {
        Some(attempt) if attempt != hold.attempt => Err(NotConfirmed::NoHold),
        _ => Ok(hold),
    });
    match (confirmed, requested.exchange) {
        (Ok(hold), named) => {
            let attempt = Attempt { exchange: hold.exchange, number: Some(hold.attempt) };
            let taken_over = named.is_none().then_some(hold);
            Ok(Confirmation { user, attempt, taken_over, refused: None })
        }
        (Err(refused), Some(exchange)) => {
            let attempt = Attempt { exchange, number: None };
            Ok(Confirmation { user, attempt, taken_over: None, refused: Some(refused) })
        }
        (Err(refused), None) => Err(refusal(refused)),
    }
}

impl Confirmation {
    pub(super) fn attempt(&self) -> Attempt {
        self.attempt
    }
    /// Returns the result of the command that began the attempt. A refusal for want of a hold gets its cause, and a refused
    /// request releases the hold that it has taken over.
    pub(super) async fn conclude<T>(
        self,
        app: &WithMetadata,
        sent: HandlerResult<Committed<T>, CounselError>,
    ) -> HandlerResult<Committed<T>, CounselError> {
        match (sent, self.refused) {
            (Err(Error::Domain(CounselError::NoReservation)), Some(refused)) => Err(refusal(refused)),
            (Err(error), _) => {
                // After any other error the attempt may have begun.
                let is_refused = !matches!(
                    error.kind(),
                    ErrorKind::Unavailable | ErrorKind::Deadline | ErrorKind::OutcomeUnknown | ErrorKind::Internal
                );
                if let Some(hold) = self.taken_over.filter(|_| is_refused) {
                    release(app, self.user, hold).await?;
                }
                Err(error)
            }
            (sent, _) => sent,
        }
    }
}

async fn release(app: &WithMetadata, user: UserId, hold: Hold) -> HandlerResult<(), CounselError> {
    if let Err(error) = app.dependency::<dyn Reservations>()?.release(user, hold).await {
        let exchange = hold.exchange;
        tracing::warn!(%exchange, %error, "counseling: the token of a refused request is not released; the hold ends after a minute");
    }
    Ok(())
}

fn refusal(refused: NotConfirmed) -> Error<CounselError> {
    match refused {
        NotConfirmed::NoHold => CounselError::NoReservation.into(),
        NotConfirmed::Unavailable(cause) => {
            tracing::warn!(
                cause,
                "counseling: no exchange can start while the user service does not confirm reservations"
            );
            Fault::unavailable("the message cannot be accepted right now; the same request may be sent again").into()
        }
    }
}
