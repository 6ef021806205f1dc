//! The subscriber that is checked: it writes every credit that it hears into an account of its own, and into its own log.
use super::{account::Posted, check::Posting, node::Temper};
use cqrs_core::{Aggregate, BoxError, Dep, Event, Evolve, Recorded, Repo, subscriber};
use serde::{Deserialize, Serialize};

/// Where this module's functions stand.
pub const MIRROR: &str = module_path!();
/// The subscriber's group.
pub const GROUP: &str = "ledger.mirror";

/// An account as the subscriber knows it.
#[derive(Debug, Clone, Serialize, Deserialize, Aggregate)]
#[aggregate(name = "mirror", event = Applied)]
pub struct Mirror {
    #[id]
    key: String,
    count: u64,
    sum: i64,
}

/// A credit was heard.
#[derive(Debug, Clone, Serialize, Deserialize, Event)]
#[event(name = "mirror.applied", version = 1)]
pub struct Applied {
    key: String,
    seq: u64,
    amount: i64,
    id: u64,
}

impl Applied {
    /// The credit at a place of the subscriber's log.
    pub fn posting(self, at: u64) -> Posting {
        let Applied { key, seq, amount, id } = self;
        Posting { at, key, seq, amount, id }
    }
}

impl Evolve<Applied> for Mirror {
    fn create(event: &Applied) -> Option<Self> {
        Some(Mirror { key: event.key.clone(), count: 1, sum: event.amount })
    }
    fn apply(&mut self, event: &Applied) {
        self.count += 1;
        self.sum += event.amount;
    }
}

#[subscriber(group = "ledger.mirror")]
async fn mirror(posted: Recorded<Posted>, mirrors: Repo<Mirror>, temper: Dep<Temper>) -> Result<(), BoxError> {
    let Posted { key, seq, amount, id } = posted.event;
    temper.show(&key).await?;
    let applied = Applied { key: key.clone(), seq, amount, id };
    match mirrors.find(&key).await? {
        None => drop(mirrors.create(applied)?),
        Some(_) => drop(mirrors.update(&key, |_| Ok::<_, cqrs_core::Never>(applied)).await?),
    }
    Ok(())
}
