//! The tracker of a partition: finds the offset up to which every received message is done.
//!
//! It tracks the offsets that were received, because offsets have gaps.
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

#[derive(Debug, Default)]
pub(super) struct Tracker {
    /// Received offsets that are not acknowledged yet; `true` when the message is done.
    open: BTreeMap<u64, bool>,
    /// The number of messages that are being handled.
    pending: usize,
    last: Option<u64>,
    gone: Arc<AtomicBool>,
}
impl Tracker {
    /// Records an offset and returns whether it is new. A message that is delivered again is not handled twice.
    pub(super) fn received(&mut self, offset: u64) -> bool {
        let new = self.last.is_none_or(|last| offset > last);
        if new {
            self.last = Some(offset);
            self.open.insert(offset, false);
        }
        new
    }
    /// Records the start of a message. The returned flag is set when the partition is revoked, so that the work can
    /// stop.
    pub(super) fn begin(&mut self) -> Arc<AtomicBool> {
        self.pending += 1;
        self.gone.clone()
    }
    /// Returns whether work with this flag belongs to the current assignment of the partition.
    pub(super) fn is_of(&self, gone: &Arc<AtomicBool>) -> bool {
        Arc::ptr_eq(&self.gone, gone)
    }
    pub(super) fn finished(&mut self, offset: u64, done: bool) {
        self.pending -= 1;
        if let Some(open) = self.open.get_mut(&offset) {
            *open = done;
        }
    }
    /// Returns the offset up to which every message is done, if it has grown since the last call.
    pub(super) fn acknowledge(&mut self) -> Option<u64> {
        let mut upto = None;
        while let Some(first) = self.open.first_entry().filter(|first| *first.get()) {
            upto = Some(first.remove_entry().0);
        }
        upto
    }
    /// Returns whether every received message is done.
    pub(super) fn is_idle(&self) -> bool {
        self.open.is_empty()
    }
    /// Stops the work of the partition: no message is started or tried again.
    pub(super) fn give_up(&self) {
        self.gone.store(true, Ordering::Relaxed);
    }
    /// Returns whether a message of the partition is being handled.
    pub(super) fn is_busy(&self) -> bool {
        self.pending > 0
    }
}

#[cfg(test)]
mod tests {
    use super::Tracker;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn an_offset_is_acknowledged_only_when_everything_before_it_is_done(
            gaps in prop::collection::vec(1u64..4, 1..50),
            order in any::<u64>(),
        ) {
            let offsets: Vec<u64> = gaps.iter().scan(0, |at, gap| { *at += gap; Some(*at) }).collect();
            let mut tracker = Tracker::default();
            for offset in &offsets {
                prop_assert!(tracker.received(*offset));
                prop_assert!(!tracker.received(*offset));
                let _ = tracker.begin();
            }
            prop_assert!(!tracker.is_idle());
            let mut left = offsets.clone();
            let mut upto = 0;
            let mut random = order;
            while !left.is_empty() {
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                prop_assert!(tracker.is_busy());
                let offset = left.remove((random >> 33) as usize % left.len());
                tracker.finished(offset, true);
                upto = tracker.acknowledge().unwrap_or(upto);
                prop_assert!(left.iter().all(|open| *open > upto));
                prop_assert_eq!(tracker.is_idle(), left.is_empty());
            }
            prop_assert_eq!(upto, *offsets.last().unwrap());
            prop_assert!(!tracker.is_busy());
        }
    }
}
