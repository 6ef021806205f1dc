//! History files: a line of JSON per thing that was seen, synced to the disk before anybody counts on it.
use anyhow::{Context, Result};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::{
    fs::File,
    io::{BufRead, BufReader, Write},
    path::Path,
};
use tokio::sync::{mpsc, oneshot};

/// What a writer notes of its commands.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Line {
    /// It is about to be sent.
    Begin {
        /// Its number.
        number: u64,
        /// The account.
        key: String,
        /// How many credits.
        count: usize,
    },
    /// It was answered: the number of its first credit.
    Ok {
        /// The command.
        number: u64,
        /// The answer.
        first: u64,
    },
    /// It was refused.
    Fail {
        /// The command.
        number: u64,
    },
    /// Nobody knows.
    Info {
        /// The command.
        number: u64,
    },
}

/// Appends lines to a file. Whoever notes a result waits until it is on the disk, together with those that came meanwhile.
#[derive(Debug, Clone)]
pub struct History(mpsc::UnboundedSender<(Line, Option<oneshot::Sender<()>>)>);

impl History {
    /// Opens the file and starts the thread that writes it.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub fn open(path: &Path) -> Result<History> {
        let mut file = File::options().create(true).append(true).open(path).context("a history file")?;
        let (lines, mut noted) = mpsc::unbounded_channel::<(Line, Option<oneshot::Sender<()>>)>();
        std::thread::spawn(move || {
            while let Some(first) = noted.blocking_recv() {
                let mut batch = vec![first];
                while let Ok(next) = noted.try_recv() {
                    batch.push(next);
                }
                let text: Vec<_> = batch.iter().filter_map(|(line, _)| serde_json::to_string(line).ok()).collect();
                let waited = batch.iter().any(|(_, done)| done.is_some());
                let kept = file.write_all((text.join("\n") + "\n").as_bytes()).and_then(|()| match waited {
                    true => file.sync_data(),
                    false => Ok(()),
                });
                if kept.is_err() {
                    return; // whoever waits is told by the channel
                }
                for done in batch.into_iter().filter_map(|(_, done)| done) {
                    let _ = done.send(()); // a writer that is gone does not wait
                }
            }
        });
        Ok(History(lines))
    }
    /// Notes that something begins.
    pub fn note(&self, line: Line) {
        let _ = self.0.send((line, None)); // a file that cannot be written is told by the next result
    }
    /// Notes a result, and returns when it is on the disk.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub async fn keep(&self, line: Line) -> Result<()> {
        let (done, kept) = oneshot::channel();
        let _ = self.0.send((line, Some(done)));
        kept.await.context("the history file cannot be written")
    }
}

/// Reads a file of lines. A last line that a kill cut in two is left out.
///
/// # Errors
/// When it cannot be read, or a line in the middle is none.
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
