//! History files: one line of JSON per observation. A result is synced to the disk before it counts.
use anyhow::{Context, Result};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::{
    fs::File,
    io::{BufRead, BufReader, Write},
    path::Path,
};
use tokio::sync::{mpsc, oneshot};

/// A line in a writer's history.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Line {
    /// A command is about to be sent.
    Begin {
        /// The command's number.
        number: u64,
        /// The account.
        key: String,
        /// The number of credits.
        count: usize,
    },
    /// A command succeeded.
    Ok {
        /// The command's number.
        number: u64,
        /// The number of its first credit, as returned to the caller.
        first: u64,
    },
    /// A command was refused.
    Fail {
        /// The command's number.
        number: u64,
    },
    /// The outcome of a command is unknown.
    Info {
        /// The command's number.
        number: u64,
    },
}

/// An append-only history file. The results of concurrent callers are synced to the disk together.
#[derive(Debug, Clone)]
pub struct History(mpsc::UnboundedSender<(Line, Option<oneshot::Sender<()>>)>);

impl History {
    /// Opens the file and starts the thread that writes it.
    ///
    /// # Errors
    /// Fails when the file cannot be opened.
    pub fn open(path: &Path) -> Result<History> {
        let file = File::options().create(true).append(true).open(path);
        let mut file = file.with_context(|| format!("cannot open the history file {}", path.display()))?;
        let (lines, mut noted) = mpsc::unbounded_channel::<(Line, Option<oneshot::Sender<()>>)>();
        std::thread::spawn(move || {
            while let Some(first) = noted.blocking_recv() {
                let mut batch = vec![first];
                while let Ok(next) = noted.try_recv() {
                    batch.push(next);
                }
                let text: Vec<_> = batch.iter().filter_map(|(line, _)| serde_json::to_string(line).ok()).collect();
                let waited = batch.iter().any(|(_, done)| done.is_some());
                let written = file.write_all((text.join("\n") + "\n").as_bytes()).and_then(|()| match waited {
                    true => file.sync_data(),
                    false => Ok(()),
                });
                if written.is_err() {
                    return; // the closed channel reports the error to the callers
                }
                for done in batch.into_iter().filter_map(|(_, done)| done) {
                    let _ = done.send(()); // fails if the caller was dropped meanwhile
                }
            }
        });
        Ok(History(lines))
    }
    /// Appends a line without waiting for the disk.
    pub fn note(&self, line: Line) {
        let _ = self.0.send((line, None)); // `keep` reports a file that cannot be written
    }
    /// Appends a line and returns when it is on the disk.
    ///
    /// # Errors
    /// Fails when the file cannot be written.
    pub async fn keep(&self, line: Line) -> Result<()> {
        let (done, written) = oneshot::channel();
        let _ = self.0.send((line, Some(done)));
        written.await.context("the history file cannot be written")
    }
}

/// Reads the lines of a history file. An incomplete last line, left by a killed process, is skipped.
///
/// # Errors
/// Fails when the file cannot be read, or a line other than the last is invalid.
pub fn read<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>> {
    let lines: Vec<String> = BufReader::new(File::open(path)?).lines().collect::<Result<_, _>>()?;
    let last = lines.len().saturating_sub(1);
    let mut all = Vec::with_capacity(lines.len());
    for (number, line) in lines.iter().enumerate() {
        match serde_json::from_str(line) {
            Ok(read) => all.push(read),
            Err(_) if number == last || line.is_empty() => (),
            Err(error) => return Err(error).with_context(|| format!("line {} of {}", number + 1, path.display())),
        }
    }
    Ok(all)
}
