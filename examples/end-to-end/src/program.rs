//! A program of this workspace as a child process that can be killed.
use anyhow::{Context, Result, bail, ensure};
use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};
use tokio::process::{Child, Command};

/// The time limit for a program to listen; it is long because the first start migrates a database.
const PATIENCE: Duration = Duration::from_secs(60);

/// All callers of a scenario have one address, and there are more of them than persons behind a real one.
const NO_LIMITS: [(&str, &str); 3] =
    [("HEARLERS_LIMIT_ADDRESS", "off"), ("HEARLERS_LIMIT_PERSON", "off"), ("HEARLERS_LIMIT_VISITS", "off")];

/// A running program. Dropping it kills it.
#[derive(Debug)]
pub struct Program {
    name: String,
    child: Child,
}
impl Program {
    /// Starts the program `name` with additional environment variables, and appends its output to the file `log`.
    ///
    /// # Errors
    /// Fails when the program cannot be built or does not start.
    pub fn start_with(name: &str, arguments: &[String], variables: &[(&str, &str)], log: &Path) -> Result<Program> {
        let out = std::fs::File::options().create(true).append(true).open(log)?;
        let mut command = Command::new(binary(name)?);
        command
            .args(arguments)
            .env("NO_COLOR", "1")
            .envs(NO_LIMITS)
            .envs(variables.iter().copied())
            .stdin(Stdio::null());
        let child = command.stdout(out.try_clone()?).stderr(out).kill_on_drop(true).spawn().context(name.to_owned())?;
        Ok(Program { name: name.to_owned(), child })
    }
    /// Waits until the address accepts connections.
    ///
    /// # Errors
    /// Fails when the program ends first, or when nothing listens after a minute.
    pub async fn listens(&mut self, address: &str) -> Result<()> {
        let began = Instant::now();
        while tokio::net::TcpStream::connect(address).await.is_err() {
            if let Some(status) = self.child.try_wait()? {
                bail!("{} ended before it listened: {status}", self.name);
            }
            ensure!(began.elapsed() < PATIENCE, "{} does not listen on {address}", self.name);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }
    /// Returns the exit status of the program, or `None` while it runs.
    ///
    /// # Errors
    /// Fails when the system does not know the program.
    pub fn has_ended(&mut self) -> Result<Option<std::process::ExitStatus>> {
        Ok(self.child.try_wait()?)
    }
    /// Waits until the program ends by itself and returns its exit code, or `None` if a signal ended it.
    ///
    /// # Errors
    /// Fails when the program does not end within `patience`.
    pub async fn ends(mut self, patience: Duration) -> Result<Option<i32>> {
        let ended = tokio::time::timeout(patience, self.child.wait()).await;
        Ok(ended.with_context(|| format!("{} did not end within {patience:?}", self.name))??.code())
    }
    /// Kills the program with SIGKILL and waits until it is gone.
    ///
    /// # Errors
    /// Fails when the program cannot be killed.
    pub async fn kill(mut self) -> Result<()> {
        Ok(self.child.kill().await?)
    }
    /// Sends SIGTERM and returns the time until the program ended.
    ///
    /// # Errors
    /// Fails when the program does not end with success within `patience`.
    pub async fn terminate(mut self, patience: Duration) -> Result<Duration> {
        let began = Instant::now();
        let id = self.child.id().context("the program has already ended")?.to_string();
        ensure!(Command::new("kill").args(["-TERM", &id]).status().await?.success(), "kill -TERM {id}");
        let status =
            tokio::time::timeout(patience, self.child.wait()).await.context("the program did not end in time")??;
        ensure!(status.success(), "{} ended with {status}", self.name);
        Ok(began.elapsed())
    }
}

/// Returns a port of the loopback interface that was free a moment ago.
///
/// # Errors
/// Fails when no port is free.
pub fn free_port() -> Result<u16> {
    Ok(test_support::free_port()?)
}

/// Returns the path of a program of this workspace. `cargo test --workspace` has built the programs beside the tests; a
/// test of this package alone builds a missing one here.
fn binary(name: &str) -> Result<PathBuf> {
    let test_binary = std::env::current_exe()?;
    let is_build_folder = |path: &&Path| path.ends_with("debug") || path.ends_with("release");
    let folder = test_binary.ancestors().find(is_build_folder).context("no build folder")?;
    let binary = folder.join(name);
    if !binary.exists() {
        let mut cargo = std::process::Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        cargo.args(["build", "--quiet", "--package", name]).current_dir(root);
        if let Some(target) = folder.parent() {
            cargo.env("CARGO_TARGET_DIR", target);
        }
        ensure!(cargo.status()?.success(), "{name} cannot be built");
    }
    Ok(binary)
}
