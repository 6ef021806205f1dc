//! The view of a person's wallet. It stores the state, from which the balance at any time can be computed.
use crate::domain::{
    user::UserId,
    wallet::{Wallet, WalletEvent},
};
use cqrs_core::{Change, Evolve, Recorded, View, projection};
use serde::{Deserialize, Serialize};

/// A person's wallet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, View)]
#[view(name = "user-wallet", key = UserId)]
pub struct UserWallet(pub Wallet);

#[projection(name = "user-wallet")]
fn user_wallet(event: &Recorded<WalletEvent>) -> Change<UserWallet> {
    let (id, event) = (event.aggregate_id, event.event.clone());
    Change::none().and(id, move |found: Option<UserWallet>| match found {
        None => Wallet::create(id, &event).map(UserWallet),
        Some(UserWallet(mut wallet)) => {
            wallet.apply(&event);
            Some(UserWallet(wallet))
        }
    })
}
