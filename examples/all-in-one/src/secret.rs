//! The keys of this data folder: made on the first start, kept in it, readable by its owner only.
use anyhow::{Context, Result};
use std::{fs, io::Write, os::unix::fs::OpenOptionsExt, path::Path};
use trust::Key;

/// 256 bits, as much as HS256 uses.
const CHARACTERS: usize = 64;

/// The key that signs sessions.
pub(crate) fn session(data: &Path) -> Result<Key> {
    of(&data.join("session-key"), "everybody has to begin anew")
}
/// The key that the gateway signs its calls with.
pub(crate) fn internal(data: &Path) -> Result<Key> {
    of(&data.join("internal-key"), "it is made again")
}

fn of(file: &Path, removed: &str) -> Result<Key> {
    if let Ok(key) = fs::read_to_string(file) {
        let key = Some(key.trim()).filter(|it| it.len() >= CHARACTERS).and_then(Key::new);
        return key.with_context(|| format!("{} is cut short; remove it, and {removed}", file.display()));
    }
    let mut random = [0; CHARACTERS / 2];
    getrandom::fill(&mut random).context("the system has no random numbers")?;
    let key: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    let mut new = fs::OpenOptions::new();
    let mut new =
        new.write(true).create_new(true).mode(0o600).open(file).with_context(|| file.display().to_string())?;
    new.write_all(key.as_bytes())?;
    new.sync_all()?;
    Key::new(key).context("a key is long enough")
}
