//! The key that signs sessions: made on the first start, kept in the data folder, readable by its owner only.
use anyhow::{Context, Result, ensure};
use std::{fs, io::Write, os::unix::fs::OpenOptionsExt, path::Path};

const FILE: &str = "session-key";
/// 256 bits, as much as HS256 uses.
const CHARACTERS: usize = 64;

/// The key of this data folder.
pub(crate) fn of(data: &Path) -> Result<String> {
    let file = data.join(FILE);
    if let Ok(key) = fs::read_to_string(&file) {
        let key = key.trim().to_owned();
        ensure!(key.len() >= CHARACTERS, "{} is cut short; remove it, and everybody has to begin anew", file.display());
        return Ok(key);
    }
    let mut random = [0; CHARACTERS / 2];
    getrandom::fill(&mut random).context("the system has no random numbers")?;
    let key: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    let mut new = fs::OpenOptions::new();
    let mut new =
        new.write(true).create_new(true).mode(0o600).open(&file).with_context(|| file.display().to_string())?;
    new.write_all(key.as_bytes())?;
    new.sync_all()?;
    Ok(key)
}
