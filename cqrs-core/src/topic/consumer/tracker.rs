//! What of a partition is done: everything up to the first that is not may be acknowledged. It tracks the offsets that came, since
//! offsets have gaps.
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

#[derive(Debug, Default)]
pub(super) struct Tracker {
    /// Offsets that came and are not acknowledged: done, or not yet.
    open: BTreeMap<u64, bool>,
    /// How many are being handled.
    pending: usize,
    last: Option<u64>,
    gone: Arc<AtomicBool>,
}
impl Tracker {
    /// Whether this offset is new; one that came before is not handled twice.
    pub(super) fn received(&mut self, offset: u64) -> bool {
        let new = self.last.is_none_or(|last| offset > last);
        if new {
            self.last = Some(offset);
            self.open.insert(offset, false);
        }
        new
    }
    /// Work begins; the flag tells it when it is for nothing.
    pub(super) fn begin(&mut self) -> Arc<AtomicBool> {
        self.pending += 1;
        self.gone.clone()
    }
    /// Whether work with this flag belongs to this assignment of the partition.
    pub(super) fn is_of(&self, gone: &Arc<AtomicBool>) -> bool {
        Arc::ptr_eq(&self.gone, gone)
    }
    pub(super) fn finished(&mut self, offset: u64, done: bool) {
        self.pending -= 1;
        if let Some(open) = self.open.get_mut(&offset) {
            *open = done;
        }
    }
    /// The offset up to which everything is done, if that is news.
    pub(super) fn acknowledge(&mut self) -> Option<u64> {
        let mut upto = None;
        while let Some(first) = self.open.first_entry().filter(|it| *it.get()) {
            upto = Some(first.remove_entry().0);
        }
        upto
    }
    /// Nothing of it is to be begun or tried again.
    pub(super) fn give_up(&self) {
        self.gone.store(true, Ordering::Relaxed);
    }
    /// Whether something of it is being handled.
    pub(super) fn is_busy(&self) -> bool {
        self.pending > 0
    }
}

#[cfg(test)]
mod tests {
    use super::Tracker;
    use proptest::prelude::*;

    proptest! {
        /// Whatever the order in which work ends, nothing is acknowledged past the first that is not done, and in the end all is.
        #[test]
        fn never_past_the_first_that_is_not_done(gaps in prop::collection::vec(1u64..4, 1..50), order in any::<u64>()) {
            let offsets: Vec<u64> = gaps.iter().scan(0, |at, gap| { *at += gap; Some(*at) }).collect();
            let mut tracker = Tracker::default();
            for offset in &offsets {
                prop_assert!(tracker.received(*offset));
                prop_assert!(!tracker.received(*offset));
                let _ = tracker.begin();
            }
            let mut left = offsets.clone();
            let mut upto = 0;
            let mut chance = order;
            while !left.is_empty() {
                chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let offset = left.remove((chance >> 33) as usize % left.len());
                tracker.finished(offset, true);
                upto = tracker.acknowledge().unwrap_or(upto);
                prop_assert!(left.iter().all(|open| *open > upto));
            }
            prop_assert_eq!(upto, *offsets.last().unwrap());
            prop_assert!(!tracker.is_busy());
        }
    }
}
