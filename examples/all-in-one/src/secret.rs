//! The keys of an installation, in a folder of their own. They are generated on the first start and readable by the owner only.
use crate::folder;
use anyhow::{Context, Result};
use service_auth::Key;
use std::{fs, io::Write, os::unix::fs::OpenOptionsExt, path::Path};

/// The length of a key in hexadecimal digits: 256 bits, as HS256 uses.
const CHARACTERS: usize = 64;

/// Reads or creates the key that signs access tokens.
pub(crate) fn session(keys: &Path) -> Result<Key> {
    of(&keys.join("session-key"), "all users lose their sessions")
}
/// Reads or creates the key that signs upload URLs of images.
pub(crate) fn images(keys: &Path) -> Result<Key> {
    of(&keys.join("images-key"), "a new one is created")
}

fn of(file: &Path, removed: &str) -> Result<Key> {
    if let Ok(key) = fs::read_to_string(file) {
        folder::restrict(file, 0o600)?;
        let key = Some(key.trim()).filter(|text| text.len() >= CHARACTERS).and_then(Key::new);
        return key.with_context(|| format!("{} is truncated; remove the file, then {removed}", file.display()));
    }
    let mut random = [0; CHARACTERS / 2];
    getrandom::fill(&mut random).context("the system has no random numbers")?;
    let key: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    let mut new = fs::OpenOptions::new();
    let mut new =
        new.write(true).create_new(true).mode(0o600).open(file).with_context(|| file.display().to_string())?;
    new.write_all(key.as_bytes())?;
    new.sync_all()?;
    Key::new(key).context("the generated key is too short")
}
