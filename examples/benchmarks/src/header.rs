//! The circumstances of a run: the machine, the versions, the method.
use crate::compare::Plan;
use std::{
    fs::{self, File},
    io::Write,
    path::Path,
    process::Command,
    time::Instant,
};

/// The number of syncs that are timed, for the cost of a durable write on this disk.
const SYNCS: usize = 200;
/// The number of bytes written before each sync: a page of PostgreSQL's log.
const PAGE: usize = 8192;

/// Lines of `name: value`, in order.
#[derive(Debug, Clone)]
pub(crate) struct Header(Vec<(&'static str, String)>);
impl Header {
    /// Reads everything that is known before a row runs.
    pub(crate) fn read(checkout: &Path, plan: &Plan) -> Header {
        let mut header = Header::of_machine(checkout);
        let seconds = plan.time.as_secs_f64();
        let runs = format!("{} pairs of runs of {seconds} s each, after one pair to warm up", plan.runs);
        header.add("runs", runs);
        header
    }
    /// Reads the machine and the versions. A value that cannot be read is left out.
    pub(crate) fn of_machine(checkout: &Path) -> Header {
        let mut lines = vec![("date", chrono::Utc::now().format("%Y-%m-%d %H:%M UTC").to_string())];
        lines.push(("commit", commit(checkout).unwrap_or_else(|| "unknown".to_owned())));
        lines.extend(line_of("/proc/cpuinfo", "model name").map(|model| ("processor", model)));
        lines.extend(std::thread::available_parallelism().ok().map(|cores| ("cores", cores.to_string())));
        lines.extend(line_of("/proc/meminfo", "MemTotal").map(|memory| ("memory", memory)));
        lines.extend(read_first_line("/proc/sys/kernel/osrelease").map(|kernel| ("kernel", kernel)));
        lines.extend(load().map(|load| ("load average before", load)));
        lines.extend(sync_time().map(|time| ("writing 8 KiB and syncing it", time)));
        lines.extend(output("rustc", &["--version"], checkout).map(|version| ("compiler", version)));
        Header(lines)
    }
    /// Adds a line unless it is there already.
    pub(crate) fn add(&mut self, name: &'static str, value: String) {
        if !self.0.iter().any(|(known, text)| *known == name && *text == value) {
            self.0.push((name, value));
        }
    }
    /// Returns the header with the load at the end of the run.
    pub(crate) fn end(&self) -> Header {
        let mut ended = self.clone();
        ended.0.extend(load().map(|load| ("load average after", load)));
        ended
    }
    pub(crate) fn markdown(&self) -> String {
        self.0.iter().map(|(name, value)| format!("- {name}: {value}\n")).collect()
    }
}

fn commit(checkout: &Path) -> Option<String> {
    let commit = output("git", &["rev-parse", "--short=12", "HEAD"], checkout)?;
    let changed = output("git", &["status", "--porcelain", "--untracked-files=no"], checkout).is_some();
    Some(if changed { format!("{commit}, with changes that are not committed") } else { commit })
}
/// Returns the output of a program, or `None` when it prints nothing or fails.
fn output(program: &str, arguments: &[&str], folder: &Path) -> Option<String> {
    let output = Command::new(program).args(arguments).current_dir(folder).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (output.status.success() && !text.is_empty()).then_some(text)
}
/// Returns the value of the first line that begins with this name.
fn line_of(file: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}
fn read_first_line(file: &str) -> Option<String> {
    Some(fs::read_to_string(file).ok()?.lines().next()?.to_owned())
}
/// Returns the load average over 1, 5 and 15 minutes, which shows other work on the machine.
fn load() -> Option<String> {
    let line = read_first_line("/proc/loadavg")?;
    Some(line.split(' ').take(3).collect::<Vec<_>>().join(" "))
}
/// Returns the median time to write a page and sync it, in the folder where the databases are.
fn sync_time() -> Option<String> {
    let folder = tempfile::tempdir().ok()?;
    let mut file = File::create(folder.path().join("sync")).ok()?;
    let mut times = Vec::new();
    for _ in 0..SYNCS {
        let began = Instant::now();
        file.write_all(&[1; PAGE]).ok()?;
        file.sync_data().ok()?;
        times.push(began.elapsed());
    }
    times.sort_unstable();
    Some(format!("{:.2} ms (median of {SYNCS})", times.get(SYNCS / 2)?.as_secs_f64() * 1000.0))
}
