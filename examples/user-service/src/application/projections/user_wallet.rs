//! The view of a person's wallet. It stores the state, from which the balance at any time can be computed.
use crate::domain::user::{UserEvent, UserId, Wallet};
use cqrs_core::{Change, View, projection};
use serde::{Deserialize, Serialize};

/// A person's wallet.
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
