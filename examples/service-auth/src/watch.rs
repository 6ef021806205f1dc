//! The thread that looks at the file of a secret, so that no call waits for a file.
use std::{
    io,
    sync::{Arc, Weak},
    thread,
    time::Duration,
};

/// Starts a thread that looks at the files of `secret` in this interval, until the secret is dropped.
///
/// # Errors
/// Fails when the operating system starts no thread.
pub(crate) fn start<T: Send + Sync + 'static>(
    interval: Duration,
    secret: &Arc<T>,
    mut look: impl FnMut(&T) + Send + 'static,
) -> io::Result<()> {
    let secret: Weak<T> = Arc::downgrade(secret);
    let looking = move || {
        loop {
            thread::sleep(interval);
            match secret.upgrade() {
                Some(secret) => look(&secret),
                None => return,
            }
        }
    };
    thread::Builder::new().name("secret-files".to_owned()).spawn(looking).map(drop)
}
