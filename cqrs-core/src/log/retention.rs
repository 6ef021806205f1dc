//! Retention: what nobody needs any more goes, a little at a time.
use super::Step;
use crate::{
    Fault, Position,
    app::{Running, Shared},
    storage::{LANES, Old},
    transport::Audience,
};
use std::{fmt, sync::Arc, time::Duration};

/// Of each kind at once: a statement that holds few locks, not long.
const AT_ONCE: usize = 1_000;
/// How often it is looked.
const EVERY: Duration = Duration::from_secs(600);
const WEEK: Duration = Duration::from_secs(7 * 24 * 3600);

/// How long what lies beside the events is kept. Events themselves stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keep {
    /// Answers to idempotency keys: a repeated command after that is a new one. Default: 7 days.
    pub answers: Duration,
    /// Marks of handled messages: must be longer than the broker keeps records, or a group that is set back handles them twice.
    /// Default: 7 days.
    pub marks: Duration,
    /// What others were told, once a broker has it; what is parked stays. Where nothing else stores it (in process), it stays for
    /// groups that come later. Default: 7 days.
    pub told: Duration,
}
impl Default for Keep {
    fn default() -> Self {
        Keep { answers: WEEK, marks: WEEK, told: WEEK }
    }
}

/// Removes what is old, in steps that can be called.
pub struct Retention {
    shared: Arc<Shared>,
    app: Running,
    /// Whether the last step left something.
    more: bool,
}
impl Running {
    /// What removes old answers, marks and what others were told.
    pub fn retention(&self) -> Retention {
        Retention { shared: self.shared.clone(), app: self.clone(), more: false }
    }
}
impl Retention {
    /// Waits for the next look, and removes some.
    ///
    /// # Errors
    /// When the database fails: call it again.
    pub async fn step(&mut self) -> Result<Step, Fault> {
        if !self.more {
            self.shared.world.sleep(EVERY).await;
        }
        let gone = self.remove().await?;
        self.more = gone >= AT_ONCE as u64;
        Ok(Step::Did(gone as usize))
    }
    /// Removes some now, and says how much.
    ///
    /// # Errors
    /// When the database fails: call it again.
    pub async fn remove(&self) -> Result<u64, Fault> {
        let Keep { answers, marks, told } = self.shared.keep;
        let old = Old { answers, marks, told: self.passed().await?, told_for: told };
        self.shared.storage.forget(&old, AT_ONCE).await
    }
    /// Per lane, up to where the broker has it; nothing where there is none.
    async fn passed(&self) -> Result<Vec<(u16, Position)>, Fault> {
        let relays = self.app.relays();
        let [relay] = &relays[..] else { return Ok(Vec::new()) };
        if *relay.audience() != Audience::broker() {
            return Ok(Vec::new());
        }
        let readers: Vec<_> = (0..LANES).map(|lane| relay.reader(lane)).collect();
        let at = self.shared.storage.positions(&readers).await?;
        Ok((0..LANES).zip(at.into_iter().map(Position)).collect())
    }
}
impl fmt::Debug for Retention {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Retention")
    }
}
