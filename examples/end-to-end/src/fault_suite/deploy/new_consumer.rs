//! The consumers' program after a deploy: the modules of the old one, and the two functions that handle bonuses.
use super::new::BonusPosted;
use crate::fault_suite::{
    account::Posted,
    mirror::{self, Mirror},
    node::HandlerBehaviour,
};
use cqrs_core::{BoxError, Change, Dep, Recorded, Repo, View, projection, subscriber};
use serde::{Deserialize, Serialize};

/// The module to discover.
pub const NEW_CONSUMER: &str = module_path!();
/// The name of the view of bonuses.
pub const BONUSES: &str = "bonuses";

/// The ids of the bonuses of an account, in the order of their application.
#[derive(Debug, Clone, Default, Serialize, Deserialize, View)]
#[view(name = "bonuses", key = String)]
pub struct Bonuses(pub Vec<u64>);

#[projection(name = "bonuses")]
fn bonuses(bonus: &BonusPosted) -> Change<Bonuses> {
    let id = bonus.id;
    Change::none().and(bonus.key.clone(), move |before: Option<Bonuses>| {
        let Bonuses(mut ids) = before.unwrap_or_default();
        ids.push(id);
        Some(Bonuses(ids))
    })
}

#[subscriber(group = "faults.mirror")]
async fn mirror_bonus(
    bonus: Recorded<BonusPosted>,
    mirrors: Repo<Mirror>,
    behaviour: Dep<HandlerBehaviour>,
) -> Result<(), BoxError> {
    let BonusPosted { key, seq, amount, id } = bonus.event;
    mirror::book(Posted { key, seq, amount, id }, &mirrors, &behaviour).await
}
