//! The projection under test: counts and sums the credits of every account, and records repetitions, gaps and the
//! order.
use super::account::Posted;
use cqrs_core::{Change, View, projection};
use serde::{Deserialize, Serialize};

/// The module to discover.
pub const TALLY: &str = module_path!();
/// The view's stored name.
pub const VIEW: &str = "tally";

/// The projection's state of an account.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, View)]
#[view(name = "tally", key = String)]
pub struct Tally {
    /// The number of credits that were applied.
    pub count: u64,
    /// The sum of their amounts.
    pub sum: i64,
    /// The highest credit number that was applied.
    pub last: u64,
    /// The number of credits that were not higher than the last one.
    pub repeats: u64,
    /// The number of credits that skipped at least one number.
    pub gaps: u64,
    /// A hash of the ids and numbers in the order of application.
    pub digest: u64,
}
impl Tally {
    /// Applies a credit.
    pub fn post(&mut self, posted: &Posted) {
        self.count += 1;
        self.sum += posted.amount;
        self.repeats += u64::from(posted.seq <= self.last);
        self.gaps += u64::from(posted.seq > self.last + 1);
        self.last = self.last.max(posted.seq);
        self.digest = self.digest.wrapping_mul(0x0100_0000_01b3) ^ posted.id.wrapping_mul(31).wrapping_add(posted.seq);
    }
}

#[projection(name = "tally")]
fn tally(posted: &Posted) -> Change<Tally> {
    let posted = posted.clone();
    Change::none().and(posted.key.clone(), move |before: Option<Tally>| {
        let mut tally = before.unwrap_or_default();
        tally.post(&posted);
        Some(tally)
    })
}
