//! The topics that a broker refuses for a time: their records wait, and those of other topics go on.
//!
//! A shard has one line of publishes for all topics. A topic that is refused leaves it and gets a line of its own, which
//! tries its first record again and again. Once the broker accepts it, the line sends what has waited, in order, and the
//! topic joins the others again when it has caught up.
//!
//! The shard's stored checkpoint stays before the first record that waits, as if nothing after it had been sent. Beside it
//! the shard stores how far the other topics are, so that another relay does not send their records again:
//!
//! - `relay/3/ahead` is the position up to which every record of the other topics is acknowledged,
//! - `relay/3/waiting` is the number of topics that wait,
//! - `relay/3/waiting/orders` is the position of the first record to `orders` that waits, and 0 when none does.
//!
//! A relay that does not know a topic that waits finds fewer of them than the number says. It begins at the checkpoint
//! then, as a program without these readers does: it sends records twice and loses none.
use super::Flight;
use crate::{position::Position, storage::CheckpointMove};
use std::{collections::BTreeMap, time::Duration};

/// The longest time for which the other topics of a shard wait until a topic has joined them again.
pub(super) const LONGEST_JOIN: Duration = Duration::from_secs(1);
/// The largest range of positions that one read of the records that wait covers. It keeps the read below the statement
/// time-out when the database passes only over records of other topics.
const RANGE: u64 = 100_000;
/// The interval to which the times of attempts are rounded, so that one read serves the topics of all shards.
const TICK: Duration = Duration::from_millis(500);
/// The longest wait between two attempts.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// A topic whose records wait in one shard, with its own line of publishes.
pub(super) struct WaitingTopic {
    /// The position up to which every record of the topic is acknowledged or parked.
    pub(super) acknowledged: Position,
    /// The position of the record that was refused.
    refused: Position,
    /// The last position that was handed to the broker.
    pub(super) handed: Position,
    pub(super) flight: Option<Flight>,
    /// Set when the last read has found all records that waited.
    pub(super) is_near: bool,
    /// The uptime of the next attempt; `None` once the broker has accepted a record.
    pub(super) retry_at: Option<Duration>,
    failures: u32,
}
impl WaitingTopic {
    /// Creates the line of a topic whose record at this position is the first one that waits.
    pub(super) fn new(refused: Position, checkpoint: Position, retry_at: Duration) -> Self {
        let acknowledged = Position(refused.0.saturating_sub(1)).max(checkpoint);
        let (handed, retry_at) = (acknowledged, Some(retry_at));
        WaitingTopic { acknowledged, refused, handed, flight: None, is_near: false, retry_at, failures: 0 }
    }
    /// Returns the end of the next read, if one is due: `ahead` is the position that the other topics have reached.
    pub(super) fn reads_to(&self, ahead: Position, now: Duration, draining: bool) -> Option<Position> {
        let to = Position(if draining { self.handed.min(ahead) } else { ahead }.0.min(self.acknowledged.0 + RANGE));
        let is_due = self.retry_at.is_none_or(|at| at <= now && !draining);
        (is_due && self.flight.is_none() && self.acknowledged < to).then_some(to)
    }
    /// Returns the uptime at which the line has to be looked at again. `is_free` says that the other topics of the shard
    /// have no publish in progress.
    pub(super) fn next_look(&self, ahead: Position, now: Duration, is_free: bool) -> Option<Duration> {
        match &self.flight {
            Some(flight) => (is_free && self.is_joining(now)).then(|| flight.started + LONGEST_JOIN),
            None if self.has_caught_up(ahead) => is_free.then_some(Duration::ZERO),
            None => self.retry_at.filter(|_| self.acknowledged < ahead),
        }
    }
    /// Returns whether the other topics wait for the end of this line's publish, so that the topic can join them.
    pub(super) fn is_joining(&self, now: Duration) -> bool {
        let is_near = self.is_near && self.retry_at.is_none();
        is_near && self.flight.as_ref().is_some_and(|flight| now < flight.started + LONGEST_JOIN)
    }
    /// Returns whether no record of the topic waits.
    pub(super) fn has_caught_up(&self, ahead: Position) -> bool {
        self.flight.is_none() && self.acknowledged >= ahead.max(self.refused)
    }
    /// Records that the broker has refused the next record once more.
    pub(super) fn failed(&mut self, now: Duration) {
        self.retry_at = Some(next_try(now, self.failures));
        self.failures = self.failures.saturating_add(1);
    }
    /// Records that the broker accepts the topic.
    pub(super) fn accepted(&mut self) {
        (self.retry_at, self.failures) = (None, 0);
    }
}

/// Returns the uptime of the next attempt after this number of failures.
pub(super) fn next_try(now: Duration, failures: u32) -> Duration {
    let wait = TICK.saturating_mul(1 << failures.min(5)).min(LONGEST_WAIT);
    let ticks = (now + wait).as_millis().div_ceil(TICK.as_millis());
    TICK.saturating_mul(u32::try_from(ticks).unwrap_or(u32::MAX))
}

/// The stored progress of a shard beside its checkpoint.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct StoredProgress {
    ahead: u64,
    waiting: u64,
    topics: BTreeMap<String, u64>,
}
impl StoredProgress {
    /// Returns the readers under which the progress of a shard with these topics is stored.
    pub(super) fn readers(shard: &str, topics: &[&str]) -> Vec<String> {
        let of_topic = topics.iter().map(|topic| format!("{shard}/waiting/{topic}"));
        [format!("{shard}/ahead"), format!("{shard}/waiting")].into_iter().chain(of_topic).collect()
    }
    /// Creates the progress from the checkpoints of these readers.
    pub(super) fn from_checkpoints(topics: &[&str], checkpoints: &[u64]) -> Self {
        let [ahead, waiting, first @ ..] = checkpoints else { return StoredProgress::default() };
        let topics = topics.iter().zip(first).filter(|(_, first)| **first > 0);
        let topics = topics.map(|(topic, first)| ((*topic).to_owned(), *first)).collect();
        StoredProgress { ahead: *ahead, waiting: *waiting, topics }
    }
    /// Returns how far the other topics are and the topics that wait, each with the position of its first record. There
    /// are none when the checkpoint has passed them, or when topics wait that this program does not know.
    pub(super) fn ahead_of(
        &self,
        checkpoint: Position,
    ) -> Option<(Position, impl Iterator<Item = (&String, Position)>)> {
        let topics = self.topics.iter().filter(|(_, first)| **first > 0);
        let is_complete = topics.clone().count() as u64 == self.waiting;
        let is_ahead = self.waiting > 0 && self.ahead > checkpoint.0;
        (is_complete && is_ahead)
            .then(|| (Position(self.ahead), topics.map(|(topic, first)| (topic, Position(*first)))))
    }
    /// Returns the progress to store next.
    pub(super) fn next(&self, ahead: Position, waiting: &BTreeMap<String, WaitingTopic>) -> Self {
        let mut topics: BTreeMap<String, u64> = self.topics.keys().map(|topic| (topic.clone(), 0)).collect();
        topics.extend(waiting.iter().map(|(topic, line)| (topic.clone(), line.acknowledged.0 + 1)));
        let ahead = if waiting.is_empty() { self.ahead } else { ahead.0 };
        StoredProgress { ahead, waiting: waiting.len() as u64, topics }
    }
    /// Returns the moves from this progress to the next one.
    pub(super) fn moves_to(&self, next: &Self, shard: &str) -> Vec<CheckpointMove> {
        let first = |topic| self.topics.get(topic).copied().unwrap_or_default();
        let topics = next.topics.iter().map(|(topic, to)| (format!("{shard}/waiting/{topic}"), first(topic), *to));
        let all = [
            (format!("{shard}/ahead"), self.ahead, next.ahead),
            (format!("{shard}/waiting"), self.waiting, next.waiting),
        ];
        let moves = all.into_iter().chain(topics).filter(|(_, from, to)| from != to);
        moves.map(|(reader, from, to)| CheckpointMove { reader, from, to, epoch: None }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::oneshot;

    fn line(refused: u64) -> WaitingTopic {
        WaitingTopic::new(Position(refused), Position(0), Duration::ZERO)
    }
    /// Returns the line of a topic that the broker accepts again, with a publish in progress since `started`.
    fn publishing(refused: u64, started: Duration) -> WaitingTopic {
        let (cancel, _) = oneshot::channel();
        let flight = Flight { publish: 1, reaches: Position(refused), started, _cancel: cancel };
        WaitingTopic { flight: Some(flight), retry_at: None, ..line(refused) }
    }
    fn waiting(topics: &[(&str, u64)]) -> BTreeMap<String, WaitingTopic> {
        topics.iter().map(|(topic, refused)| ((*topic).to_owned(), line(*refused))).collect()
    }
    /// Stores the moves and reads the progress again, as a program with these topics.
    fn read_again(stored: &mut BTreeMap<String, u64>, moves: Vec<CheckpointMove>, topics: &[&str]) -> StoredProgress {
        for step in moves {
            assert_eq!(stored.insert(step.reader, step.to).unwrap_or_default(), step.from);
        }
        let readers = StoredProgress::readers("relay/3", topics);
        let checkpoints: Vec<_> =
            readers.iter().map(|reader| stored.get(reader).copied().unwrap_or_default()).collect();
        StoredProgress::from_checkpoints(topics, &checkpoints)
    }
    fn ahead(progress: &StoredProgress, checkpoint: u64) -> Option<(u64, Vec<(String, u64)>)> {
        let (ahead, topics) = progress.ahead_of(Position(checkpoint))?;
        Some((ahead.0, topics.map(|(topic, first)| (topic.clone(), first.0)).collect()))
    }

    #[test]
    fn stored_progress_is_read_again_until_the_topics_have_joined() {
        let mut stored = BTreeMap::new();
        let none = StoredProgress::default();
        let next = none.next(Position(9), &waiting(&[("a", 4), ("b", 7)]));
        let read = read_again(&mut stored, none.moves_to(&next, "relay/3"), &["a", "b", "c"]);
        let both = vec![("a".to_owned(), 4), ("b".to_owned(), 7)];
        assert_eq!(ahead(&read, 3), Some((9, both)));
        assert_eq!(ahead(&read, 9), None, "a relay without these readers has moved the checkpoint past them");
        let next = read.next(Position(20), &waiting(&[("b", 7)]));
        assert_eq!(ahead(&next, 6), Some((20, vec![("b".to_owned(), 7)])), "also before it is stored");
        let read = read_again(&mut stored, read.moves_to(&next, "relay/3"), &["a", "b", "c"]);
        assert_eq!(ahead(&read, 6), Some((20, vec![("b".to_owned(), 7)])), "topic a has joined the others");
        let next = read.next(Position(21), &waiting(&[]));
        let read = read_again(&mut stored, read.moves_to(&next, "relay/3"), &["a", "b", "c"]);
        assert_eq!(ahead(&read, 6), None);
        assert!(read.moves_to(&read.next(Position(30), &waiting(&[])), "relay/3").is_empty(), "nothing waits");
    }

    #[test]
    fn progress_with_an_unknown_topic_is_not_used() {
        let mut stored = BTreeMap::new();
        let none = StoredProgress::default();
        let next = none.next(Position(9), &waiting(&[("a", 4), ("gone", 5)]));
        let read = read_again(&mut stored, none.moves_to(&next, "relay/3"), &["a"]);
        assert_eq!(ahead(&read, 3), None, "the records to the unknown topic up to 9 may not be sent");
    }

    #[test]
    fn a_topic_has_caught_up_once_it_is_past_its_refused_record_and_level_with_the_others() {
        let mut topic = line(4);
        assert!(!topic.has_caught_up(Position(2)), "its refused record waits");
        assert_eq!(topic.reads_to(Position(2), Duration::ZERO, false), None, "the others are not past the record yet");
        assert_eq!(topic.reads_to(Position(9), Duration::ZERO, false), Some(Position(9)));
        assert_eq!(topic.reads_to(Position(9), Duration::ZERO, true), None, "a shutdown tries nothing again");
        topic.acknowledged = Position(4);
        assert!(!topic.has_caught_up(Position(9)) && topic.has_caught_up(Position(4)));
        topic.failed(Duration::from_millis(700));
        assert_eq!(topic.retry_at, Some(Duration::from_millis(1_500)), "rounded to the tick");
        assert_eq!(topic.reads_to(Position(9), Duration::from_millis(1_499), false), None);
        assert_eq!(next_try(Duration::ZERO, 99), LONGEST_WAIT);
    }

    #[test]
    fn a_read_of_the_records_that_wait_covers_a_limited_range() {
        let mut topic = line(4);
        assert_eq!(topic.reads_to(Position(300_000), Duration::ZERO, false), Some(Position(3 + RANGE)));
        topic.acknowledged = Position(9);
        assert_eq!(topic.reads_to(Position(9), Duration::ZERO, false), None, "there is nothing after it");
        topic.accepted();
        topic.handed = Position(12);
        assert_eq!(
            topic.reads_to(Position(20), Duration::ZERO, true),
            Some(Position(12)),
            "a shutdown sends nothing new"
        );
    }

    #[test]
    fn the_other_topics_wait_a_second_for_one_that_is_about_to_join_them() {
        let (started, ahead) = (Duration::from_millis(700), Position(9));
        let end = started + LONGEST_JOIN;
        let mut topic = publishing(4, started);
        assert!(!topic.is_joining(started), "more of its records may wait");
        topic.is_near = true;
        assert!(
            topic.is_joining(started) && topic.is_joining(end - Duration::from_millis(1)) && !topic.is_joining(end)
        );
        assert_eq!(topic.next_look(ahead, started, true), Some(end));
        assert_eq!(
            topic.next_look(ahead, started, false),
            None,
            "the others do not wait before their publish has ended"
        );
        assert_eq!(topic.next_look(ahead, end, true), None);
        topic.failed(started);
        assert!(!topic.is_joining(started), "the broker refuses it again");
        topic.accepted();
        topic.flight = None;
        assert!(!topic.is_joining(started), "it has no publish to wait for");
    }

    #[test]
    fn a_line_is_looked_at_when_it_is_to_be_tried_or_can_join_the_others() {
        let mut topic = line(4);
        topic.failed(Duration::ZERO);
        assert_eq!(topic.next_look(Position(9), Duration::ZERO, true), Some(TICK));
        assert_eq!(topic.next_look(Position(3), Duration::ZERO, true), None, "the others are not past the record yet");
        topic.acknowledged = Position(9);
        assert_eq!(topic.next_look(Position(9), TICK, true), Some(Duration::ZERO));
        assert_eq!(topic.next_look(Position(9), TICK, false), None, "it joins when their publish has ended");
    }

    #[test]
    fn attempts_are_further_apart_after_each_failure() {
        let waits = (0..6).map(|failures| next_try(Duration::ZERO, failures).as_millis());
        assert_eq!(waits.collect::<Vec<_>>(), [500, 1_000, 2_000, 4_000, 5_000, 5_000]);
        let mut topic = line(4);
        topic.failed(Duration::ZERO);
        topic.failed(TICK);
        assert_eq!(topic.retry_at, Some(Duration::from_millis(1_500)));
        topic.accepted();
        topic.failed(TICK);
        assert_eq!(topic.retry_at, Some(Duration::from_secs(1)), "failures before it was accepted do not count");
    }
}
