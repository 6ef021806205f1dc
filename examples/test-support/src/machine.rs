//! What a test takes from the machine: programs, ports, folders, and time to wait.

use std::fs::{self, File};
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use tempfile::TempDir;
use tokio::runtime::{Handle, RuntimeFlavor};

/// The first of these programs on the `PATH`.
pub(crate) fn program(names: &[&str]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    names.iter().find_map(|name| folders.iter().map(|folder| folder.join(name)).find(|file| is_program(file)))
}

/// Whether this file can be run.
pub(crate) fn is_program(file: &Path) -> bool {
    fs::metadata(file).is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

/// An environment variable that says something.
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.trim().is_empty())
}

/// A loopback port that nothing listens on.
///
/// Below the ports that the kernel gives to outgoing connections: one of those could take a stopped server's port, and
/// a client that keeps knocking on such a port can even end up connected to itself.
pub(crate) fn free_port() -> io::Result<u16> {
    const LOWEST: u16 = 10_000;
    let outgoing = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    let first_outgoing = outgoing.split_whitespace().next().and_then(|low| low.parse().ok()).unwrap_or(32_768);
    if first_outgoing > LOWEST + 1_000 {
        let mut draws = (0..1_000).map(|_| fastrand::u16(LOWEST..first_outgoing));
        if let Some(port) = draws.find(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok()) {
            return Ok(port);
        }
    }
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

/// Runs something that blocks, without holding up the async tasks that share this thread.
pub(crate) fn blocking<T>(work: impl FnOnce() -> T) -> T {
    match Handle::try_current().map(|runtime| runtime.runtime_flavor()) {
        Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(work),
        _ => work(),
    }
}

/// A temporary folder, removed with its owner, or by a later run if that was killed.
pub(crate) struct Scratch {
    folder: TempDir,
    _lock: File, // held while we live, and let go by the kernel when we are killed
}

impl Scratch {
    const PREFIX: &str = "cqrs-test-";
    const LOCK: &str = "in-use";

    /// A new folder that every user may enter, since PostgreSQL does not run as root.
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

    /// The temporary folder of this machine, or `/tmp` where that one is closed to other users.
    fn base() -> PathBuf {
        let open = |folder: &&Path| fs::metadata(folder).is_ok_and(|found| found.permissions().mode() & 0o001 != 0);
        let usual = std::env::temp_dir();
        if usual.ancestors().all(|folder| open(&folder)) { usual } else { PathBuf::from("/tmp") }
    }

    /// Removes what killed runs left behind. The minute is for a folder whose owner has not locked it yet.
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
    fn a_folder_in_use_is_not_swept_and_one_left_behind_is() {
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
    fn a_program_is_found_by_any_of_its_names() {
        assert!(program(&["surely-not-a-program", "sh"]).is_some_and(|file| file.ends_with("sh")));
        assert_eq!(program(&["surely-not-a-program"]), None);
    }
}
