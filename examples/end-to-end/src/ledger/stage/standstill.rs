//! Stops one thread of a node, as a debugger does: a signal would stop them all.
use anyhow::{Context, Result, bail};
use nix::{
    sys::{
        ptrace,
        wait::{WaitPidFlag, waitpid},
    },
    unistd::Pid,
};
use std::{
    fs, thread,
    time::{Duration, Instant},
};

/// Lets the thread of this name stand still for so long, in the middle of its own work: not where it waits in the kernel for something to
/// happen, which librdkafka takes for polling. Blocks: whoever stops a thread must be the one who lets it go.
///
/// # Errors
/// When there is no such thread, or it may not be stopped, or it always waits.
pub(in crate::ledger) fn of(process: u32, name: &str, time: Duration) -> Result<()> {
    let thread = thread_of(process, name)?.with_context(|| format!("process {process} has no thread {name}"))?;
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(20) {
        ptrace::attach(thread).context("a thread may not be stopped here")?;
        waitpid(thread, Some(WaitPidFlag::__WALL))?;
        let works = fs::read_to_string(format!("/proc/{process}/task/{thread}/syscall"))?.starts_with("-1 ");
        if works {
            thread::sleep(time);
        }
        ptrace::detach(thread, None)?;
        if works {
            return Ok(());
        }
        thread::sleep(Duration::from_micros(fastrand::u64(200..2_000)));
    }
    bail!("thread {name} does nothing but wait")
}

fn thread_of(process: u32, name: &str) -> Result<Option<Pid>> {
    for entry in fs::read_dir(format!("/proc/{process}/task"))? {
        let entry = entry?;
        if fs::read_to_string(entry.path().join("comm")).is_ok_and(|it| it.trim() == name) {
            let id = entry.file_name().to_string_lossy().parse()?;
            return Ok(Some(Pid::from_raw(id)));
        }
    }
    Ok(None)
}
