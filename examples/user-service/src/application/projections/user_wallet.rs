//! Somebody's wallet: its state, so that what is left can be told for any time.
use crate::domain::user::{UserEvent, UserId, Wallet};
use cqrs_core::{Change, View, projection};
use serde::{Deserialize, Serialize};

/// The wallet as the events made it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, View)]
#[view(name = "user-wallet", key = UserId)]
pub struct UserWallet(pub Wallet);

#[projection(name = "user-wallet")]
fn user_wallet(event: &UserEvent) -> Change<UserWallet> {
    match event.clone() {
        UserEvent::Registered { id, allowance, at, .. } => UserWallet(Wallet::new(allowance, at)).put(id),
        UserEvent::Updated { .. } => Change::none(),
        event => UserWallet::update(event.id(), move |view| view.0.apply(&event)),
    }
}
