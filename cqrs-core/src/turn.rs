//! Turns: after a conflict, the commands of a process that change one aggregate queue for it instead of racing.
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::OwnedMutexGuard;

/// The queues, one for each aggregate that has one now. A command without a conflict never looks here.
#[derive(Default)]
pub(crate) struct Turns(Mutex<HashMap<String, Queue>>);
type Queue = Arc<tokio::sync::Mutex<()>>;

/// A place in a queue, and from its turn on the only one. Dropping it lets the next one take its turn.
pub(crate) struct Turn<'a> {
    turns: &'a Turns,
    name: String,
    queue: Option<Queue>,
    turn: Option<OwnedMutexGuard<()>>,
}

impl Turns {
    fn queues(&self) -> MutexGuard<'_, HashMap<String, Queue>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
    /// Joins the queue of this name, at its end.
    pub(crate) fn join(&self, name: &str) -> Turn<'_> {
        let queue = self.queues().entry(name.to_owned()).or_default().clone();
        Turn { turns: self, name: name.to_owned(), queue: Some(queue), turn: None }
    }
}

impl Turn<'_> {
    /// Waits for the turn. The places of a queue get it in the order in which they wait.
    pub(crate) async fn comes(&mut self) {
        if let Some(queue) = self.queue.clone() {
            self.turn = Some(queue.lock_owned().await);
        }
    }
    /// Returns `true` if the turn in the queue of this name has come.
    pub(crate) fn has_come_for(&self, name: &str) -> bool {
        self.turn.is_some() && self.name == name
    }
}
impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.turn = None;
        let mut queues = self.turns.queues();
        self.queue = None;
        // Each place that waits has a handle of its own.
        if queues.get(&self.name).is_some_and(|queue| Arc::strong_count(queue) == 1) {
            queues.remove(&self.name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Turns;
    use futures_util::FutureExt;

    #[test]
    fn places_get_their_turn_one_after_the_other_and_a_queue_without_places_is_removed() {
        let turns = Turns::default();
        let (mut first, mut second, mut third) = (turns.join("a"), turns.join("a"), turns.join("a"));
        assert!(first.comes().now_or_never().is_some());
        assert!(turns.join("b").comes().now_or_never().is_some(), "another queue is another one");
        {
            let waiting = second.comes();
            let mut waiting = std::pin::pin!(waiting);
            assert!(waiting.as_mut().now_or_never().is_none());
            drop(first);
            assert!(waiting.as_mut().now_or_never().is_some());
            assert!(third.comes().now_or_never().is_none(), "two have the turn at once");
        }
        drop(second);
        assert!(third.comes().now_or_never().is_some());
        drop(third);
        assert!(turns.queues().is_empty());
    }
    #[test]
    fn a_place_that_is_given_up_while_it_waits_holds_up_no_other() {
        let turns = Turns::default();
        let (mut first, mut second, mut third) = (turns.join("a"), turns.join("a"), turns.join("a"));
        assert!(first.comes().now_or_never().is_some());
        assert!(second.comes().now_or_never().is_none());
        drop(second);
        drop(first);
        assert!(third.comes().now_or_never().is_some());
        drop(third);
        assert!(turns.queues().is_empty());
    }
}
