//! A node's process: to be killed, stopped and asked to end.
use crate::ledger::node::{Config, Goodbye};
use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process};
use std::{
    fs::File,
    process::Stdio,
    time::{Duration, Instant},
};
use tokio::{
    process::{Child, ChildStdin, Command},
    time::timeout,
};

/// A node.
#[derive(Debug)]
pub struct Node {
    /// What it was told.
    pub config: Config,
    child: Option<Child>,
    /// It ends with us: this is the end that we hold.
    _input: Option<ChildStdin>,
}

impl Node {
    /// Starts it: this program again, as a node.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(config: Config) -> Result<Node> {
        let log = config.folder.join(format!("{}.log", config.name));
        let out = File::options().create(true).append(true).open(log)?;
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("node").arg(serde_json::to_string(&config)?).stdin(Stdio::piped()).kill_on_drop(true);
        let mut child = command.stdout(out.try_clone()?).stderr(out).spawn().context("a node cannot be started")?;
        let input = child.stdin.take(); // out of the child, or waiting for it would close it
        Ok(Node { config, child: Some(child), _input: input })
    }
    /// Its process.
    ///
    /// # Errors
    /// When it is gone.
    pub fn id(&self) -> Result<u32> {
        self.child.as_ref().and_then(Child::id).context("the node is gone")
    }
    /// Whether its process is there.
    pub fn runs(&mut self) -> bool {
        self.child.as_mut().is_some_and(|child| matches!(child.try_wait(), Ok(None)))
    }
    /// Sends it a signal.
    ///
    /// # Errors
    /// When it is gone.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let id = Pid::from_raw(self.id()? as i32).context("a process id")?;
        Ok(kill_process(id, signal)?)
    }
    /// Asks it to end. A process that has just been started is not asked before it can hear.
    ///
    /// # Errors
    /// When it is gone.
    pub async fn ask_to_end(&self) -> Result<()> {
        let (up, since) = (self.config.file("up"), Instant::now());
        while !up.exists() && since.elapsed() < Duration::from_secs(10) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        self.signal(Signal::TERM)
    }
    /// `kill -9`, and waits until it is gone.
    ///
    /// # Errors
    /// When it cannot be killed.
    pub async fn kill(&mut self) -> Result<()> {
        match self.child.take() {
            Some(mut child) => Ok(child.kill().await?),
            None => Ok(()),
        }
    }
    /// Waits until it ends; `None` when it has not in time.
    ///
    /// # Errors
    /// When it cannot be waited for.
    pub async fn ended(&mut self, patience: Duration) -> Result<Option<i32>> {
        let Some(child) = self.child.as_mut() else { return Ok(Some(0)) };
        let Ok(status) = timeout(patience, child.wait()).await else { return Ok(None) };
        self.child = None;
        Ok(Some(status?.code().unwrap_or(-1)))
    }
    /// What it said when it ended.
    pub fn goodbye(&self) -> Option<Goodbye> {
        serde_json::from_slice(&std::fs::read(self.config.file("goodbye")).ok()?).ok()
    }
    /// How many bytes of memory it has.
    pub fn memory(&self) -> Option<u64> {
        let id = self.child.as_ref().and_then(Child::id)?;
        let status = std::fs::read_to_string(format!("/proc/{id}/status")).ok()?;
        let line = status.lines().find_map(|it| it.strip_prefix("VmRSS:"))?;
        Some(line.split_whitespace().next()?.parse::<u64>().ok()? * 1024)
    }
}
