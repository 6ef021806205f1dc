//! A child process: its log in a file, its processor time, and its end with this process.
use anyhow::{Context, Result, bail};
use std::{
    fs::{self, File},
    net::TcpListener,
    path::{Path, PathBuf},
    process::Stdio,
};
use tokio::process::{self, Command};

/// Ticks per second in `/proc/PID/stat`: 100 on every architecture that Linux programs run on today.
const TICKS: u64 = 100;

/// A running program. Dropping it kills it.
pub(crate) struct Child {
    name: String,
    process: process::Child,
    log: PathBuf,
}
impl Child {
    /// Starts `program`, with its output in `folder`.
    pub(crate) fn start(name: &str, program: &Path, arguments: &[&str], folder: &Path) -> Result<Child> {
        let log = folder.join(format!("{name}.log"));
        let output = File::create(&log)?;
        // The kernel ends the child when this process is killed (util-linux; elsewhere only an orderly end does).
        let mut command = match setpriv() {
            Some(setpriv) => {
                let mut command = Command::new(setpriv);
                command.args(["--pdeathsig", "KILL"]).arg(program);
                command
            }
            None => Command::new(program),
        };
        command.args(arguments).env("NO_COLOR", "1").env("RUST_LOG", "warn").stdin(Stdio::null());
        // Settings of the caller's shell, such as a language model or a trace exporter, would change the results.
        let configured = |name: &str| name.starts_with("HEARLERS_") || name.starts_with("OTEL_");
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_str().is_some_and(configured)) {
            command.env_remove(name);
        }
        // All callers have one address; what is measured is the services, not their limits.
        command.envs(["ADDRESS", "PERSON", "VISITS"].map(|limit| (format!("HEARLERS_LIMIT_{limit}"), "off")));
        command.stdout(output.try_clone()?).stderr(output).kill_on_drop(true);
        let process = command.spawn().with_context(|| format!("starting {}", program.display()))?;
        Ok(Child { name: name.to_owned(), process, log })
    }
    /// Fails when the program has ended.
    pub(crate) fn check(&mut self) -> Result<()> {
        match self.process.try_wait()? {
            Some(status) => bail!("`{}` has ended with {status}\n{}", self.name, self.last_lines()),
            None => Ok(()),
        }
    }
    /// Returns the last lines of its log.
    pub(crate) fn last_lines(&self) -> String {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(10)..].join("\n")
    }
    /// Kills the program and waits for its end, so that its addresses are free.
    pub(crate) async fn kill(mut self) -> Result<()> {
        Ok(self.process.kill().await?)
    }
    /// Returns the memory that it holds (`VmRSS`) in KiB, or `None` where there is no `/proc`.
    pub(crate) fn resident(&self) -> Option<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id()?)).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        line.split_whitespace().next()?.parse().ok()
    }
    /// Returns the processor time that it has used, in milliseconds, or `None` where there is no `/proc`.
    pub(crate) fn cpu(&self) -> Option<u64> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.process.id()?)).ok()?;
        // The second field is the name in parentheses; user and system time are fields 14 and 15.
        let mut fields = stat.rsplit_once(") ")?.1.split(' ').skip(11);
        let user: u64 = fields.next()?.parse().ok()?;
        let system: u64 = fields.next()?.parse().ok()?;
        Some((user + system) * 1000 / TICKS)
    }
}

fn setpriv() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join("setpriv")).find(|file| file.is_file())
}

/// Returns a loopback address that was free a moment ago.
pub(super) fn free_address() -> Result<String> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string())
}
