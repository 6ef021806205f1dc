//! The projection that is checked: of every account how many credits came, their sum, and whether each came once and in order.
use super::account::Posted;
use cqrs_core::{Change, View, projection};
use serde::{Deserialize, Serialize};

/// Where this module's functions stand.
pub const TALLY: &str = module_path!();
/// The view's stored name.
pub const VIEW: &str = "tally";

/// What a projection knows of an account.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, View)]
#[view(name = "tally", key = String)]
pub struct Tally {
    /// How many credits were applied.
    pub count: u64,
    /// Their sum.
    pub sum: i64,
    /// The highest number that was applied.
    pub last: u64,
    /// How often a number came that was not higher than the last.
    pub repeats: u64,
    /// How often a number came that was not the next.
    pub gaps: u64,
    /// Which credits, in which order.
    pub digest: u64,
}
impl Tally {
    /// Takes one more.
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
