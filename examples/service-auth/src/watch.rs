//! Secrets that are read again when their file changes, by a thread of their own, so that no call waits for a file.
use crate::BadKeys;
use std::{
    fs, io,
    path::PathBuf,
    sync::{Arc, PoisonError, RwLock, Weak},
    thread,
    time::Duration,
};

/// The longest time until a changed file of keys is read again.
pub(crate) const INTERVAL: Duration = Duration::from_secs(1);

/// Keys that were read from a text, with their ids.
pub(crate) trait KeySet: Sized + Send + Sync + 'static {
    /// The name of these keys in the log.
    const NAME: &'static str;
    /// Parses the text of a variable or a file.
    ///
    /// # Errors
    /// Fails when a key cannot be used.
    fn parse(text: &str) -> Result<Self, BadKeys>;
    /// Returns the ids of the keys, in their order.
    fn ids(&self) -> Vec<&str>;
}

/// Keys, read again when their file changes.
pub(crate) struct Reloaded<T>(RwLock<Arc<T>>);
impl<T> Reloaded<T> {
    pub(crate) fn new(keys: T) -> Arc<Self> {
        Arc::new(Reloaded(RwLock::new(Arc::new(keys))))
    }
    pub(crate) fn current(&self) -> Arc<T> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
impl<T: KeySet> Reloaded<T> {
    /// Reads keys from a file, and again when it has changed.
    ///
    /// # Errors
    /// Fails when the file cannot be read or its keys cannot be used.
    pub(crate) fn of_file(file: PathBuf) -> Result<Arc<Self>, BadKeys> {
        let keys = Reloaded::new(T::parse(&fs::read_to_string(&file)?)?);
        let mut failing = false;
        start(INTERVAL, &keys, move |keys| keys.look(&file, &mut failing))?;
        Ok(keys)
    }
    /// Reads the file, and uses its keys from now on. `failing` is set while they cannot be used.
    fn look(&self, file: &std::path::Path, failing: &mut bool) {
        let read = fs::read_to_string(file).map_err(BadKeys::from).and_then(|text| T::parse(&text));
        let (file, was_failing) = (file.display(), std::mem::replace(failing, read.is_err()));
        match read {
            Ok(read) if read.ids() != self.current().ids() => {
                tracing::info!(%file, keys = T::NAME, ids = ?read.ids(), "the keys have changed");
                *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(read);
            }
            Err(error) if !was_failing => {
                tracing::error!(%file, keys = T::NAME, %error, "the keys cannot be read again; the former ones stay in use");
            }
            Ok(_) | Err(_) => {}
        }
    }
}

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
