//! Test that the servers of a killed test run end with it.

use std::fs::Permissions;
use std::io::{BufRead as _, BufReader};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, ExitCode, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use test_support::{Postgres, Trials};

/// The variable that makes this program act as the test run to be killed.
const PLAYS_THE_KILLED: &str = "TEST_SUPPORT_PLAYS_THE_KILLED";

pub(crate) fn trials() -> Trials {
    let trials = Trials::new();
    if cfg!(target_os = "linux") { trials.test("servers end with a killed test run", servers) } else { trials }
}

pub(crate) fn is_the_run_to_kill() -> bool {
    std::env::var_os(PLAYS_THE_KILLED).is_some()
}

pub(crate) fn start_and_wait() -> ExitCode {
    match Postgres::start() {
        Ok(postgres) => {
            println!("{}", postgres.address());
            loop {
                std::thread::park();
            }
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn servers(_like_this_one: &'static Postgres) -> Result<()> {
    let left_behind = tempfile::Builder::new().permissions(Permissions::from_mode(0o755)).tempdir()?;
    let mut run = Command::new(std::env::current_exe()?);
    run.env(PLAYS_THE_KILLED, "1").env("TMPDIR", left_behind.path()).stdout(Stdio::piped());
    let mut run = run.spawn()?;
    let mut address = String::new();
    BufReader::new(run.stdout.take().context("its output")?).read_line(&mut address)?;
    let address = address.trim().to_owned();
    TcpStream::connect(&address).with_context(|| format!("{address:?} of the run to kill"))?;
    run.kill()?;
    run.wait()?;
    let killed = Instant::now();
    while TcpStream::connect(&address).is_ok() {
        ensure!(killed.elapsed() < Duration::from_secs(10), "the server outlives its run");
        sleep(Duration::from_millis(50));
    }
    Ok(())
}
