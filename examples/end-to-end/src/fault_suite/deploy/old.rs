//! The program before a deploy: the modules of the other scenarios, and a projection on the writers' own log.
use super::Ledger;
use crate::fault_suite::account::Credited;
use cqrs_core::{Change, Recorded, projection};

/// The module to discover.
pub const OLD: &str = module_path!();

#[projection(name = "ledger")]
fn ledger(credited: &Recorded<Credited>) -> Change<Ledger> {
    let posted = credited.event.clone().posted(credited.aggregate_id.clone());
    Change::none().and(posted.key.clone(), move |before: Option<Ledger>| {
        let mut tally = before.map_or_else(Default::default, |Ledger(tally)| tally);
        tally.post(&posted);
        Some(Ledger(tally))
    })
}
