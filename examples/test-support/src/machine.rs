//! Helpers for the test machine: programs, ports, temporary folders, and blocking calls.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use tempfile::TempDir;
use tokio::runtime::{Handle, RuntimeFlavor};

/// Finds the first of these programs on the `PATH`.
pub(crate) fn program(names: &[&str]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    names.iter().find_map(|name| folders.iter().map(|folder| folder.join(name)).find(|file| is_program(file)))
}

/// Returns whether this file is executable.
pub(crate) fn is_program(file: &Path) -> bool {
    fs::metadata(file).is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

/// Reads an environment variable, or returns `None` when it is empty.
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.trim().is_empty())
}

/// Finds a free loopback port. No port is returned twice in one process: a server that is started later than another has
/// not bound its port yet.
///
/// It is below the range of outgoing connections. An outgoing connection could take the port of a stopped server, and a
/// client that keeps connecting to a port in that range can connect to itself.
pub fn free_port() -> io::Result<u16> {
    const LOWEST: u16 = 10_000;
    let outgoing = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    let first_outgoing = outgoing.split_whitespace().next().and_then(|low| low.parse().ok()).unwrap_or(32_768);
    if first_outgoing > LOWEST + 1_000 {
        static RETURNED: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());
        let mut returned = RETURNED.lock().unwrap_or_else(PoisonError::into_inner);
        let is_free = |port: u16| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok();
        let mut draws = (0..1_000).map(|_| fastrand::u16(LOWEST..first_outgoing));
        if let Some(port) = draws.find(|port| is_free(*port) && returned.insert(*port)) {
            return Ok(port);
        }
    }
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

/// Runs blocking work without delaying the async tasks of this thread.
pub(crate) fn blocking<T>(work: impl FnOnce() -> T) -> T {
    match Handle::try_current().map(|runtime| runtime.runtime_flavor()) {
        Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(work),
        _ => work(),
    }
}

/// A temporary folder. Its owner removes it, or a later run when the owner was killed.
pub(crate) struct Scratch {
    folder: TempDir,
    _lock: File, // held by this process; the kernel releases it when the process is killed
}

impl Scratch {
    const PREFIX: &str = "cqrs-test-";
    const LOCK: &str = "in-use";

    /// Creates a folder that every user may enter, because PostgreSQL does not run as root.
    pub(crate) fn new(what: &str) -> io::Result<Scratch> {
        let base = Scratch::base();
        Scratch::sweep(&base);
        let folder = tempfile::Builder::new()
            .prefix(&format!("{}{what}-", Scratch::PREFIX))
            .permissions(fs::Permissions::from_mode(0o755))
            .tempdir_in(base)?;
        let lock = File::create(folder.path().join(Scratch::LOCK))?;
        lock.lock()?;
        Ok(Scratch { folder, _lock: lock })
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Returns the temporary folder of this machine, or `/tmp` when other users may not enter it.
    fn base() -> PathBuf {
        let open = |folder: &&Path| fs::metadata(folder).is_ok_and(|found| found.permissions().mode() & 0o001 != 0);
        let usual = std::env::temp_dir();
        if usual.ancestors().all(|folder| open(&folder)) { usual } else { PathBuf::from("/tmp") }
    }

    /// Removes the folders of killed runs. A folder younger than a minute may not be locked by its owner yet.
    fn sweep(base: &Path) {
        let entries = fs::read_dir(base).into_iter().flatten().flatten();
        for entry in entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(Scratch::PREFIX)) {
            let Ok(lock) = File::open(entry.path().join(Scratch::LOCK)) else { continue };
            let made = lock.metadata().and_then(|lock| lock.modified()).unwrap_or_else(|_| SystemTime::now());
            let old = made.elapsed().is_ok_and(|age| age > Duration::from_secs(60));
            if old && lock.try_lock().is_ok() {
                let _ = fs::remove_dir_all(entry.path());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_folder_that_is_not_in_use_is_removed() {
        let base = tempfile::tempdir().unwrap();
        let folder = |name: &str| {
            let folder = base.path().join(format!("{}{name}", Scratch::PREFIX));
            fs::create_dir(&folder).unwrap();
            let lock = File::create(folder.join(Scratch::LOCK)).unwrap();
            lock.set_modified(SystemTime::now() - Duration::from_secs(3600)).unwrap();
            (folder, lock)
        };
        let (in_use, lock) = folder("in-use");
        lock.lock().unwrap();
        let (left, _) = folder("left");
        Scratch::sweep(base.path());
        assert!(in_use.exists());
        assert!(!left.exists());
    }

    #[test]
    fn a_program_is_found_by_each_of_its_names() {
        assert!(program(&["surely-not-a-program", "sh"]).is_some_and(|file| file.ends_with("sh")));
        assert_eq!(program(&["surely-not-a-program"]), None);
    }

    #[test]
    fn a_port_is_returned_once() -> io::Result<()> {
        let ports = (0..2_000).map(|_| free_port()).collect::<io::Result<Vec<_>>>()?;
        assert_eq!(ports.iter().collect::<BTreeSet<_>>().len(), ports.len());
        Ok(())
    }
}
