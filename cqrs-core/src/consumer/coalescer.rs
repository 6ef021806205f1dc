//! The call coalescer: combines calls that arrive while another one is in progress. It uses no timer.
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::{sync::oneshot, task::yield_now};

/// Combines concurrent calls. A call that arrives alone runs at once.
///
/// The first caller makes the call for all who wait, and then hands over to the first of those that arrived meanwhile.
#[derive(Debug)]
pub(crate) struct CallCoalescer<I, O> {
    queue: Mutex<Queue<I, O>>,
    /// The largest number of inputs in one call.
    limit: usize,
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
    /// Another caller has made the call.
    Made(O),
    /// The waiting caller has to make the next call, with its own input.
    Yours(I),
}

impl<I: Send, O: Send> CallCoalescer<I, O> {
    pub(crate) fn new(limit: usize) -> Self {
        CallCoalescer { queue: Mutex::new(Queue { busy: false, waiting: Vec::new() }), limit }
    }
    fn queue(&self) -> MutexGuard<'_, Queue<I, O>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
    /// Makes the call, or lets another caller make it. `all` returns one output for each input, in their order.
    ///
    /// Returns `None` when the caller that made the call was dropped.
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
        // Other callers that are ready as well join this call.
        yield_now().await;
        let (mut inputs, mut turns) = (vec![input], Vec::new());
        {
            let mut queue = self.queue();
            let joined = queue.waiting.len().min(self.limit.saturating_sub(1));
            for Waiting { input, turn } in queue.waiting.drain(..joined) {
                inputs.push(input);
                turns.push(turn);
            }
        }
        let mut outputs = all(inputs).await.into_iter();
        let own = outputs.next();
        for (turn, output) in turns.into_iter().zip(outputs) {
            // A caller that was dropped does not receive its output.
            let _ = turn.send(Turn::Made(output));
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

/// Hands over to the next caller, even when the current one is dropped during its call.
struct HandOver<'a, I: Send, O: Send>(&'a CallCoalescer<I, O>);
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
    use super::CallCoalescer;
    use futures_util::future::join_all;
    use std::sync::Mutex;

    #[tokio::test]
    async fn calls_that_arrive_meanwhile_are_combined_up_to_the_limit() {
        let (coalescer, calls) = (CallCoalescer::new(4), Mutex::new(Vec::new()));
        let call = |n: u32| {
            coalescer.call(n, |all: Vec<u32>| async {
                tokio::task::yield_now().await;
                let responses = all.iter().map(|input| input * 10).collect();
                calls.lock().expect("not poisoned").push(all);
                responses
            })
        };
        let responses = join_all((0..10).map(call)).await;
        assert_eq!(responses, (0..10).map(|input| Some(input * 10)).collect::<Vec<_>>());
        assert_eq!(*calls.lock().expect("not poisoned"), [vec![0, 1, 2, 3], vec![4, 5, 6, 7], vec![8, 9]]);
    }
    #[tokio::test]
    async fn a_caller_that_is_dropped_hands_over_to_the_next() {
        let coalescer: CallCoalescer<u32, u32> = CallCoalescer::new(4);
        let never = |_| std::future::pending::<Vec<u32>>();
        let mut first = Box::pin(coalescer.call(1, never));
        assert!(futures_util::poll!(&mut first).is_pending()); // it yields
        let mut second = Box::pin(coalescer.call(2, never));
        assert!(futures_util::poll!(&mut second).is_pending()); // it waits
        assert!(futures_util::poll!(&mut first).is_pending()); // it calls for both
        let third = coalescer.call(3, |all| async { all });
        let mut third = Box::pin(third);
        assert!(futures_util::poll!(&mut third).is_pending());
        drop(first);
        assert_eq!(second.await, None, "the outcome of the dropped call is unknown");
        assert_eq!(third.await, Some(3));
        assert_eq!(coalescer.call(4, |all| async { all }).await, Some(4));
    }
}
