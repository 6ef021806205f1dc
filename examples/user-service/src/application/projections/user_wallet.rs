//! The view of a person's wallet. It stores the state, from which the balance at any time can be computed.
use crate::domain::user::{UserEvent, UserId, Wallet};
use cqrs_core::{Change, Recorded, View, projection};
use serde::{Deserialize, Serialize};

/// A person's wallet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, View)]
#[view(name = "user-wallet", key = UserId)]
pub struct UserWallet(pub Wallet);

#[projection(name = "user-wallet")]
fn user_wallet(event: &Recorded<UserEvent>) -> Change<UserWallet> {
    let id = event.aggregate_id;
    match event.event.clone() {
        UserEvent::Registered { allowance, at, .. } => UserWallet(Wallet::new(allowance, at)).put(id),
        UserEvent::Updated { .. } => Change::none(),
        event => UserWallet::update(id, move |view| view.0.apply(&event)),
    }
}
