//! The process of a first visit: registers a person, and retries until a generated nickname is free.
use crate::{
    application::commands::{InitializeUser, InitializeUserResult},
    domain::user::UserError,
};
use cqrs_core::{Committed, Error, HandlerResult, app::WithMetadata};

/// The number of attempts. There are ten million generated nicknames; with a million people, one first visit in a
/// million
/// needs all attempts.
const ATTEMPTS: usize = 6;

/// Registers a person. Only the commit can tell that a generated nickname is taken, so a taken one leads to a retry.
pub async fn first_visit(app: &WithMetadata) -> HandlerResult<Committed<InitializeUserResult>, UserError> {
    for _ in 1..ATTEMPTS {
        match app.send_committed(InitializeUser).await {
            Err(Error::Taken { .. }) => (),
            done => return done,
        }
    }
    app.send_committed(InitializeUser).await
}
