//! The infrastructure layer: the wiring of the service.
use crate::domain::{
    activity::Activity,
    auth_user::AuthUser,
    user::User,
    wallet::{Wallet, paid_exchange::PaidExchange},
};
use cqrs_core::{AppBuilder, EventSourced, StateStored};

/// Registers the handlers and the persistence of each aggregate.
pub fn provide(app: AppBuilder) -> AppBuilder {
    app.discover(crate::CONTEXT)
        // An activity is never loaded again, so its event is stored and no state.
        .aggregate(EventSourced::<Activity>::new())
        .aggregate(StateStored::<AuthUser>::new())
        .aggregate(StateStored::<PaidExchange>::new())
        .aggregate(StateStored::<User>::new())
        .aggregate(StateStored::<Wallet>::new())
}
