//! A server as a child process that ends with the test run. Its output is stored in a file.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::{self, Sender};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
pub(crate) use rustix::process::Signal;
use rustix::process::{Pid, WaitId, WaitIdOptions};

use crate::machine;

/// The interval of polling.
const LOOK: Duration = Duration::from_millis(20);

/// A running child process.
pub(crate) struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts a command and writes its output to the file `log`.
    pub(crate) fn spawn(mut command: Command, log: &Path) -> io::Result<Process> {
        let output = File::options().create(true).append(true).open(log)?;
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        Ok(Process { child: spawn_for_good(command)?, log: log.to_owned() })
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, signal: Signal) -> io::Result<()> {
        Ok(rustix::process::kill_process(Pid::from_child(&self.child), signal)?)
    }

    /// Stops the process with a signal, and waits until its last thread has stopped.
    pub(crate) fn freeze(&self) -> io::Result<()> {
        self.signal(Signal::STOP)?;
        let stopped = WaitIdOptions::STOPPED | WaitIdOptions::NOWAIT; // the status stays available for a later wait
        rustix::process::waitid(WaitId::Pid(Pid::from_child(&self.child)), stopped)?;
        Ok(())
    }

    /// Returns the ids of the child processes.
    pub(crate) fn children(&self) -> io::Result<Vec<u32>> {
        let id = self.id();
        let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children"))?;
        Ok(children.split_whitespace().filter_map(|child| child.parse().ok()).collect())
    }

    /// Stops the process, then its children, and waits until each has stopped. Returns the children. The process comes
    /// first, so that it starts no further child.
    pub(crate) fn freeze_all(&self) -> anyhow::Result<Vec<u32>> {
        self.freeze().context("cannot freeze the process")?;
        let children = self.children()?;
        for child in &children {
            signal_if_alive(*child, Signal::STOP)?;
        }
        let began = Instant::now();
        while let Some(child) = children.iter().find(|child| !has_stopped(**child)) {
            if began.elapsed() > Duration::from_secs(10) {
                bail!("process {child} does not stop");
            }
            thread::sleep(LOOK);
        }
        Ok(children)
    }

    /// Resumes the children, then the process.
    pub(crate) fn thaw_all(&self) -> anyhow::Result<()> {
        for child in self.children()? {
            signal_if_alive(child, Signal::CONT)?;
        }
        Ok(self.signal(Signal::CONT)?)
    }

    /// Kills the process and its children, and waits until all have ended.
    pub(crate) fn kill_all(&mut self) -> anyhow::Result<()> {
        let children = self.freeze_all()?; // no process can react to the end of another one
        self.kill()?;
        for child in &children {
            signal_if_alive(*child, Signal::KILL)?;
        }
        let began = Instant::now();
        while let Some(child) = children.iter().find(|child| state(**child).is_some_and(|state| state != 'Z')) {
            if began.elapsed() > Duration::from_secs(10) {
                bail!("process {child} does not end");
            }
            thread::sleep(LOOK);
        }
        Ok(())
    }

    /// Waits until `ready` returns true. Fails as soon as the process ends.
    pub(crate) fn wait_until(&mut self, limit: Duration, mut ready: impl FnMut() -> bool) -> anyhow::Result<()> {
        let started = Instant::now();
        while !ready() {
            if let Some(status) = self.child.try_wait()? {
                bail!("it ended with {status}\n{}", self.last_words());
            }
            if started.elapsed() > limit {
                bail!("it was not ready after {limit:?}\n{}", self.last_words());
            }
            thread::sleep(LOOK);
        }
        Ok(())
    }

    /// Sends a signal that asks the process to end, and waits until it has ended.
    pub(crate) fn end(&mut self, signal: Signal, limit: Duration) -> anyhow::Result<ExitStatus> {
        self.signal(signal).context("cannot signal it")?;
        let started = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            if started.elapsed() > limit {
                bail!("it was still running {limit:?} after the signal\n{}", self.last_words());
            }
            thread::sleep(LOOK);
        }
    }

    /// Kills the process and waits until it has ended and its ports and files are free.
    pub(crate) fn kill(&mut self) -> io::Result<()> {
        self.child.kill()?;
        self.child.wait().map(drop)
    }

    /// Kills the process group, for a process that was started in its own group.
    pub(crate) fn kill_group(&mut self) -> io::Result<()> {
        rustix::process::kill_process_group(Pid::from_child(&self.child), Signal::KILL)?;
        self.child.wait().map(drop)
    }

    /// Returns the end of the output, for an error message.
    pub(crate) fn last_words(&self) -> String {
        let output = fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&output);
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if !matches!(self.child.try_wait(), Ok(Some(_))) {
            let _ = self.kill();
        }
    }
}

/// Sends a signal to a process that may have ended already.
fn signal_if_alive(id: u32, signal: Signal) -> io::Result<()> {
    let id = i32::try_from(id).ok().and_then(Pid::from_raw).ok_or_else(|| io::Error::other("not a process id"))?;
    match rustix::process::kill_process(id, signal) {
        Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Returns the state of a process as in `/proc`, such as `T` when it is stopped, or `None` when it has ended.
fn state(id: u32) -> Option<char> {
    let status = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    status.rsplit_once(") ")?.1.chars().next() // the name before it may contain anything
}

/// Returns whether a process is stopped or has ended.
fn has_stopped(id: u32) -> bool {
    matches!(state(id), None | Some('T' | 'Z'))
}

/// The user that runs a server, because PostgreSQL refuses to run as root.
#[derive(Debug, Clone, Copy)]
pub(crate) struct User {
    pub(crate) id: u32,
    pub(crate) group: u32,
}

impl User {
    pub(crate) fn by_name(name: &str) -> Option<User> {
        let users = fs::read_to_string("/etc/passwd").ok()?;
        let mut lines = users.lines().map(|line| line.split(':'));
        let mut fields = lines.find_map(|mut fields| (fields.next() == Some(name)).then_some(fields))?.skip(1);
        Some(User { id: fields.next()?.parse().ok()?, group: fields.next()?.parse().ok()? })
    }
}

/// Finds the program that [`guarded`] uses to set up a child (util-linux).
pub(crate) fn setpriv() -> Option<PathBuf> {
    machine::program(&["setpriv"])
}

/// Builds a command that gets this signal when the test run dies, run as another user if one is given.
///
/// Without `setpriv` the command runs unchanged and as the current user.
pub(crate) fn guarded(program: &Path, death: &str, user: Option<User>) -> Command {
    let Some(setpriv) = setpriv() else { return Command::new(program) };
    let mut command = Command::new(setpriv);
    command.args(["--pdeathsig", death]);
    if let Some(User { id, group }) = user {
        command.arg(format!("--reuid={id}")).arg(format!("--regid={group}")).arg("--init-groups");
    }
    command.arg(program);
    command
}

/// Runs a short command and returns its output; its error output becomes the error.
pub(crate) fn output(command: &mut Command) -> anyhow::Result<String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("cannot run {name}"))?;
    if !output.status.success() {
        bail!("{}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

type Started = (Command, Sender<io::Result<Child>>);

/// Spawns from a thread that never ends. For the kernel the parent of a child is the *thread*, and a test's thread
/// ends early.
fn spawn_for_good(command: Command) -> io::Result<Child> {
    static NURSERY: OnceLock<Sender<Started>> = OnceLock::new();
    let nursery = NURSERY.get_or_init(|| {
        let (orders, received) = mpsc::channel::<Started>();
        thread::spawn(move || {
            for (mut command, answer) in received {
                let _ = answer.send(command.spawn());
            }
        });
        orders
    });
    let (answer, child) = mpsc::channel();
    let gone = || io::Error::other("the spawning thread has ended");
    nursery.send((command, answer)).map_err(|_| gone())?;
    child.recv().map_err(|_| gone())?
}
