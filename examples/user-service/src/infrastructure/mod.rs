//! The wiring: all of it on one screen.
use crate::domain::{auth_user::AuthUser, spent_exchange::SpentExchange, user::User};
use cqrs_core::{App, Rows};

/// What stands behind the attributes, and how each aggregate is kept.
pub fn provide(app: App) -> App {
    app.discover(crate::CONTEXT)
        .aggregate(Rows::<User>::new())
        .aggregate(Rows::<AuthUser>::new())
        .aggregate(Rows::<SpentExchange>::new())
}
