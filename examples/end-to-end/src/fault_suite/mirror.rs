//! The subscriber under test: it books every credit that it receives on an account in its own database and log.
use super::{account::Posted, check::Posting, node::HandlerBehaviour};
use cqrs_core::{Aggregate, BoxError, Dep, Event, Evolve, Recorded, Repo, subscriber};
use serde::{Deserialize, Serialize};

/// The module to discover.
pub const MIRROR: &str = module_path!();
/// The subscriber's consumer group.
pub const GROUP: &str = "faults.mirror";

/// An account as the subscriber knows it.
#[derive(Debug, Clone, Serialize, Deserialize, Aggregate)]
#[aggregate(name = "mirror", event = Applied)]
pub struct Mirror {
    #[id]
    key: String,
    count: u64,
    sum: i64,
}

/// A credit was received and applied.
#[derive(Debug, Clone, Serialize, Deserialize, Event)]
#[event(name = "mirror.applied", version = 1)]
pub struct Applied {
    seq: u64,
    amount: i64,
    id: u64,
}

impl Applied {
    /// Returns the credit of an account as a posting at a position of the subscriber's log.
    pub fn posting(self, key: String, at: u64) -> Posting {
        let Applied { seq, amount, id } = self;
        Posting { at, key, seq, amount, id }
    }
}

impl Evolve<Applied> for Mirror {
    fn create(key: String, event: &Applied) -> Option<Self> {
        Some(Mirror { key, count: 1, sum: event.amount })
    }
    fn apply(&mut self, event: &Applied) {
        self.count += 1;
        self.sum += event.amount;
    }
}

#[subscriber(group = "faults.mirror")]
async fn mirror(
    posted: Recorded<Posted>,
    mirrors: Repo<Mirror>,
    behaviour: Dep<HandlerBehaviour>,
) -> Result<(), BoxError> {
    book(posted.event, &mirrors, &behaviour).await
}

/// Books a credit, after the behaviour of the handler.
///
/// # Errors
/// Fails as the behaviour says, or when the account cannot be read.
pub async fn book(posted: Posted, mirrors: &Repo<Mirror>, behaviour: &HandlerBehaviour) -> Result<(), BoxError> {
    let Posted { key, seq, amount, id } = posted;
    behaviour.delay_or_fail(&key, seq).await?;
    let applied = Applied { seq, amount, id };
    match mirrors.find(&key).await? {
        None => drop(mirrors.create(key, applied)?),
        Some(_) => drop(mirrors.update(&key, |_| Ok::<_, cqrs_core::Infallible>(applied)).await?),
    }
    Ok(())
}
