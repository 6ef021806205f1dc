//! A first visit, until a nickname is free.
use crate::{
    application::commands::{InitializeUser, Initialized},
    domain::user::UserError,
};
use cqrs_core::{Error, Position, Result, app::With};

/// There are ten million nicknames to be made up; with a million people, one first visit in a million comes here so often.
const ATTEMPTS: usize = 6;

/// Makes a person. Whether a made-up nickname is free only the commit knows, so a taken one means another try.
pub async fn first_visit(app: &With) -> Result<(Initialized, Position), UserError> {
    for _ in 1..ATTEMPTS {
        match app.send_at(InitializeUser).await {
            Err(Error::Taken { .. }) => (),
            done => return done,
        }
    }
    app.send_at(InitializeUser).await
}
