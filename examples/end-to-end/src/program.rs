//! A program of this workspace as a child process that can be killed.
use anyhow::{Context, Result, bail, ensure};
use std::{
    net::TcpListener,
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};
use tokio::process::{Child, Command};

/// How long a program may take to listen: the first start migrates a database.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running program. Dropping it kills it.
#[derive(Debug)]
pub struct Program {
    name: String,
    child: Child,
}
impl Program {
    /// Starts `name` with these arguments; what it says goes to `log`.
    ///
    /// # Errors
    /// When the program is not built and cannot be, or does not start.
    pub fn start(name: &str, arguments: &[String], log: &Path) -> Result<Program> {
        Program::start_with(name, arguments, &[("RUST_LOG", "info")], log)
    }
    /// The same, with variables of the environment.
    ///
    /// # Errors
    /// When the program is not built and cannot be, or does not start.
    pub fn start_with(name: &str, arguments: &[String], variables: &[(&str, &str)], log: &Path) -> Result<Program> {
        let out = std::fs::File::options().create(true).append(true).open(log)?;
        let mut command = Command::new(binary(name)?);
        command.args(arguments).env("NO_COLOR", "1").envs(variables.iter().copied()).stdin(Stdio::null());
        let child = command.stdout(out.try_clone()?).stderr(out).kill_on_drop(true).spawn().context(name.to_owned())?;
        Ok(Program { name: name.to_owned(), child })
    }
    /// Waits until something listens there.
    ///
    /// # Errors
    /// When the program ends first, or nothing listens after a minute.
    pub async fn listens(&mut self, at: &str) -> Result<()> {
        let began = Instant::now();
        while tokio::net::TcpStream::connect(at).await.is_err() {
            if let Some(status) = self.child.try_wait()? {
                bail!("{} ended before it listened: {status}", self.name);
            }
            ensure!(began.elapsed() < PATIENCE, "{} does not listen on {at}", self.name);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }
    /// Waits until it ends by itself; its exit code.
    ///
    /// # Errors
    /// When it does not end within `patience`.
    pub async fn ends(mut self, patience: Duration) -> Result<Option<i32>> {
        let ended = tokio::time::timeout(patience, self.child.wait()).await;
        Ok(ended.with_context(|| format!("{} goes on", self.name))??.code())
    }
    /// `kill -9`, and waits until it is gone.
    ///
    /// # Errors
    /// When it cannot be killed.
    pub async fn kill(mut self) -> Result<()> {
        Ok(self.child.kill().await?)
    }
    /// A polite kill; how long it took to end.
    ///
    /// # Errors
    /// When it does not end well within `patience`.
    pub async fn terminate(mut self, patience: Duration) -> Result<Duration> {
        let began = Instant::now();
        let id = self.child.id().context("it has ended already")?.to_string();
        ensure!(Command::new("kill").args(["-TERM", &id]).status().await?.success(), "kill -TERM {id}");
        let status = tokio::time::timeout(patience, self.child.wait()).await.context("it did not end in time")??;
        ensure!(status.success(), "{} ended with {status}", self.name);
        Ok(began.elapsed())
    }
}

/// A port that was free a moment ago.
///
/// # Errors
/// When loopback has none.
pub fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// `cargo test --workspace` has built the programs beside the tests; a test of this package alone builds what is missing.
fn binary(name: &str) -> Result<PathBuf> {
    let here = std::env::current_exe()?;
    let folder =
        here.ancestors().find(|it| it.ends_with("debug") || it.ends_with("release")).context("no build folder")?;
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
