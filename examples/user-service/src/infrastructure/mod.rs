//! The infrastructure layer: the wiring of the service.
use crate::domain::{auth_user::AuthUser, paid_exchange::PaidExchange, user::User};
use cqrs_core::{AppBuilder, StateStored};

/// Registers the handlers and the persistence of each aggregate.
pub fn provide(app: AppBuilder) -> AppBuilder {
    app.discover(crate::CONTEXT)
        .aggregate(StateStored::<User>::new())
        .aggregate(StateStored::<AuthUser>::new())
        .aggregate(StateStored::<PaidExchange>::new())
}
