//! The size of the next batch: a batch that is refused as a whole is halved until one event is to blame.

/// The size from which batches are no longer limited.
const LARGEST: usize = 500;

/// The size of the next batch of a follower.
///
/// A database can refuse a batch without naming the event that is at fault. The batch is halved then, which finds one
/// such event of `n` in about `log2(n)` further commits. Each batch that is committed afterwards doubles the size again.
#[derive(Debug, Default)]
pub(crate) struct BatchSize {
    /// `None` when batches are not limited.
    limit: Option<usize>,
    /// The number of next events among which one is at fault.
    suspects: usize,
}
impl BatchSize {
    /// Returns how many of the next events to apply together. It is at least 1.
    pub(crate) fn next(&self, available: usize) -> usize {
        self.limit.map_or(available, |limit| limit.min(available)).max(1)
    }
    /// Records that a batch was refused without a reason that names an event.
    pub(super) fn refused(&mut self, count: usize) {
        (self.suspects, self.limit) = (count, Some((count / 2).max(1)));
    }
    pub(super) fn committed(&mut self, count: usize) {
        let Some(limit) = self.limit else { return };
        self.suspects = self.suspects.saturating_sub(count);
        self.limit = match self.suspects {
            0 => Some(limit * 2).filter(|limit| *limit < LARGEST),
            left => Some(left.div_ceil(2)),
        };
    }
    /// Forgets which events are suspected, because others come next.
    pub(super) fn forget_suspects(&mut self) {
        self.suspects = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_event_at_fault_is_tried_alone_after_few_commits(
            count in 1usize..500,
            faulty in prop::collection::btree_set(0usize..500, 0..4),
        ) {
            let mut size = BatchSize::default();
            let (mut at, mut tried) = (0, Vec::new());
            for _ in 0..200 {
                if at == count {
                    break;
                }
                let n = size.next(count - at);
                match faulty.range(at..at + n).next() {
                    Some(first) if n == 1 => {
                        tried.push(*first);
                        at += 1;
                        size.committed(1);
                    }
                    Some(_) => size.refused(n),
                    None => {
                        at += n;
                        size.committed(n);
                    }
                }
            }
            prop_assert_eq!(at, count);
            prop_assert_eq!(tried, faulty.range(..count).copied().collect::<Vec<_>>());
            prop_assert!(size.limit.is_none_or(|limit| limit < LARGEST));
        }
    }
}
