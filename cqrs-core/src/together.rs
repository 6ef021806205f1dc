//! Calls that come while one is under way are made together, after it. There is no timer: a call that comes alone is made at once.
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::{sync::oneshot, task::yield_now};

/// Joins calls. Whoever comes first makes the call for all who wait, then hands over to the first of those who came meanwhile.
#[derive(Debug)]
pub(crate) struct Together<I, O> {
    queue: Mutex<Queue<I, O>>,
    /// How many one call takes.
    most: usize,
}
#[derive(Debug)]
struct Queue<I, O> {
    busy: bool,
    waiting: Vec<Waiting<I, O>>,
}
#[derive(Debug)]
struct Waiting<I, O> {
    input: I,
    turn: oneshot::Sender<Turn<I, O>>,
}
#[derive(Debug)]
enum Turn<I, O> {
    /// Somebody made the call.
    Made(O),
    /// The next call is yours, with your own input.
    Yours(I),
}

impl<I: Send, O: Send> Together<I, O> {
    pub(crate) fn new(most: usize) -> Self {
        Together { queue: Mutex::new(Queue { busy: false, waiting: Vec::new() }), most }
    }
    fn queue(&self) -> MutexGuard<'_, Queue<I, O>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
    /// Makes the call, or has it made: `all` answers its inputs in their order. `None` when whoever was to make it was dropped.
    pub(crate) async fn call<F>(&self, input: I, all: impl FnOnce(Vec<I>) -> F) -> Option<O>
    where
        F: Future<Output = Vec<O>>,
    {
        let input = match self.enter(input) {
            Ok(input) => input,
            Err(turn) => match turn.await.ok()? {
                Turn::Made(output) => return Some(output),
                Turn::Yours(input) => input,
            },
        };
        let _next = HandOver(self);
        yield_now().await; // whoever is ready as well comes along
        let (mut inputs, mut turns) = (vec![input], Vec::new());
        {
            let mut queue = self.queue();
            let with = queue.waiting.len().min(self.most.saturating_sub(1));
            for Waiting { input, turn } in queue.waiting.drain(..with) {
                inputs.push(input);
                turns.push(turn);
            }
        }
        let mut outputs = all(inputs).await.into_iter();
        let own = outputs.next();
        for (turn, output) in turns.into_iter().zip(outputs) {
            let _ = turn.send(Turn::Made(output)); // one that was dropped does not want to know
        }
        own
    }
    fn enter(&self, input: I) -> Result<I, oneshot::Receiver<Turn<I, O>>> {
        let mut queue = self.queue();
        if !queue.busy {
            queue.busy = true;
            return Ok(input);
        }
        let (turn, mine) = oneshot::channel();
        queue.waiting.push(Waiting { input, turn });
        Err(mine)
    }
}

/// Lets the next one make the call, also when whoever made this one was dropped in the middle.
struct HandOver<'a, I: Send, O: Send>(&'a Together<I, O>);
impl<I: Send, O: Send> Drop for HandOver<'_, I, O> {
    fn drop(&mut self) {
        let mut queue = self.0.queue();
        while !queue.waiting.is_empty() {
            let Waiting { input, turn } = queue.waiting.remove(0);
            if turn.send(Turn::Yours(input)).is_ok() {
                return;
            }
        }
        queue.busy = false;
    }
}

#[cfg(test)]
mod tests {
    use super::Together;
    use futures_util::future::join_all;
    use std::sync::Mutex;

    #[tokio::test]
    async fn who_comes_meanwhile_comes_along() {
        let (together, calls) = (Together::new(4), Mutex::new(Vec::new()));
        let call = |n: u32| {
            together.call(n, |all: Vec<u32>| async {
                tokio::task::yield_now().await;
                let answers = all.iter().map(|it| it * 10).collect();
                calls.lock().expect("not poisoned").push(all);
                answers
            })
        };
        let answers = join_all((0..10).map(call)).await;
        assert_eq!(answers, (0..10).map(|it| Some(it * 10)).collect::<Vec<_>>());
        assert_eq!(*calls.lock().expect("not poisoned"), [vec![0, 1, 2, 3], vec![4, 5, 6, 7], vec![8, 9]]);
    }
    #[tokio::test]
    async fn who_is_dropped_hands_over() {
        let together: Together<u32, u32> = Together::new(4);
        let never = |_| std::future::pending::<Vec<u32>>();
        let mut first = Box::pin(together.call(1, never));
        assert!(futures_util::poll!(&mut first).is_pending()); // it yields
        let mut second = Box::pin(together.call(2, never));
        assert!(futures_util::poll!(&mut second).is_pending()); // it waits
        assert!(futures_util::poll!(&mut first).is_pending()); // it calls for both
        let third = together.call(3, |all| async { all });
        let mut third = Box::pin(third);
        assert!(futures_util::poll!(&mut third).is_pending());
        drop(first);
        assert_eq!(second.await, None, "nobody knows what became of it");
        assert_eq!(third.await, Some(3));
        assert_eq!(together.call(4, |all| async { all }).await, Some(4));
    }
}
