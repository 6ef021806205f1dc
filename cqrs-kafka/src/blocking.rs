//! Calls of librdkafka that block, each on a thread of its own.
use cqrs_core::transport::TransportError;
use std::thread;
use tokio::sync::oneshot;

/// Runs a call that blocks, and returns its result.
///
/// The end of a tokio runtime waits for the calls on its own blocking threads. A broker that does not respond would hold up
/// a shutdown there for the time limit of the call, after which the process is ended by force. Nothing waits for these
/// threads: they end with the call, or with the process.
///
/// # Errors
/// Returns the error of the call, and a transient error when the operating system starts no thread or the call panics.
pub(crate) async fn blocking<T: Send + 'static>(
    call: impl FnOnce() -> Result<T, TransportError> + Send + 'static,
) -> Result<T, TransportError> {
    let (sender, receiver) = oneshot::channel();
    let started = thread::Builder::new().name("kafka-call".to_owned()).spawn(move || {
        let _ = sender.send(call()); // the caller may have given up
    });
    started.map_err(|error| TransportError::transient("no thread for a request to Kafka").because(error))?;
    receiver.await.unwrap_or_else(|error| Err(TransportError::transient("a request to Kafka panicked").because(error)))
}

/// Drops a client on a thread of its own: the drop waits for the client's threads, which async code must not.
pub(crate) fn drop_elsewhere<T: Send + 'static>(client: T) {
    // If the operating system starts no thread, the client is dropped here.
    let _ = thread::Builder::new().name("kafka-drop".to_owned()).spawn(move || drop(client));
}

#[cfg(test)]
mod tests {
    use super::blocking;
    use cqrs_core::transport::TransportError;
    use std::{
        sync::mpsc,
        time::{Duration, Instant},
    };

    #[test]
    fn the_end_of_a_runtime_does_not_wait_for_a_call() {
        let (_kept, never) = mpsc::channel::<()>();
        let (started, has_started) = mpsc::channel();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.spawn(blocking(move || {
            started.send(()).unwrap();
            let _ = never.recv();
            Ok(())
        }));
        has_started.recv().unwrap();
        let began = Instant::now();
        drop(runtime);
        assert!(began.elapsed() < Duration::from_secs(60), "the runtime waited");
    }

    #[tokio::test]
    async fn a_call_returns_its_result_and_a_panic_is_a_transient_error() {
        assert_eq!(blocking(|| Ok(7)).await.unwrap(), 7);
        let refused = blocking(|| Err::<(), _>(TransportError::permanent("refused"))).await.unwrap_err();
        assert!(refused.permanent);
        let panicked = blocking(|| -> Result<(), _> { panic!("on purpose") }).await.unwrap_err();
        assert!(!panicked.permanent);
    }
}
