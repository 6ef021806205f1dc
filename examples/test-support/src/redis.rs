//! A Redis for tests, with an empty memory. It may be killed, frozen and started again.

use std::net::{Ipv4Addr, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, bail};

use crate::machine::{self, Scratch, blocking};
use crate::part::{Part, Unavailable};
use crate::process::{self, Process, Signal};

/// The time limit of starting a server.
const LIMIT: Duration = Duration::from_secs(20);

static SHARED: OnceLock<Result<Redis, Unavailable>> = OnceLock::new();

/// A Redis, a child of this process, which stores nothing on the disk unless a snapshot is asked for.
///
/// ```no_run
/// # use test_support::Redis;
/// let redis = Redis::start()?;
/// println!("{}", redis.url());
///
/// redis.kill()?; // its memory is lost
/// redis.start_again()?; // same port
/// # Ok::<(), anyhow::Error>(())
/// ```
pub struct Redis {
    port: u16,
    process: Mutex<Option<Process>>,
    program: PathBuf,
    scratch: Scratch,
}

impl Redis {
    /// Starts a separate server, which a test may kill and freeze.
    ///
    /// # Errors
    /// Fails when Redis is not installed, or when it does not start.
    pub fn start() -> Result<Redis, Unavailable> {
        let program = Redis::installed()?;
        let started = || {
            let redis = Redis {
                port: machine::free_port()?,
                process: Mutex::default(),
                program,
                scratch: Scratch::new("redis")?,
            };
            redis.start_again()?;
            Ok(redis)
        };
        started().map_err(|error: anyhow::Error| Part::Redis.broken(format!("{error:#}")))
    }

    /// Returns the server that all tests of this process share. Each test uses a prefix of its own.
    ///
    /// # Errors
    /// As [`Redis::start`].
    pub fn shared() -> Result<&'static Redis, Unavailable> {
        blocking(|| SHARED.get_or_init(Redis::start)).as_ref().map_err(Unavailable::clone)
    }

    /// Ends the shared server, if one was started.
    pub(crate) fn end_shared() {
        if let Some(Ok(redis)) = SHARED.get() {
            let _ = redis.kill();
        }
    }

    /// Kills the server with SIGKILL. Its connections and its memory are lost.
    ///
    /// # Errors
    /// Fails when it is not running.
    pub fn kill(&self) -> anyhow::Result<()> {
        let mut process = self.process().take().context("Redis is not running")?;
        blocking(|| process.kill()).context("Redis cannot be killed")
    }

    /// Starts a killed server on the same port, and waits until it accepts connections. It loads the last snapshot, if one was
    /// made.
    ///
    /// # Errors
    /// Fails when it is running or does not start.
    pub fn start_again(&self) -> anyhow::Result<()> {
        let mut running = self.process();
        if running.is_some() {
            bail!("Redis is running already");
        }
        let mut command: Command = process::guarded(&self.program, "KILL", None);
        command.current_dir(self.scratch.path()).args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]);
        command.args(["--port", &self.port.to_string()]);
        let mut process = Process::spawn(command, &self.scratch.join("log"))?;
        let ready = || TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_ok();
        blocking(|| process.wait_until(LIMIT, ready)).context("Redis does not start")?;
        *running = Some(process);
        Ok(())
    }

    /// Freezes the server: its connections stay open, and nothing responds.
    ///
    /// # Errors
    /// Fails when it is not running.
    pub fn freeze(&self) -> anyhow::Result<()> {
        let process = self.process();
        blocking(|| Ok(process.as_ref().context("Redis is not running")?.freeze()?))
    }

    /// Resumes a frozen server.
    ///
    /// # Errors
    /// Fails when it is not running.
    pub fn thaw(&self) -> anyhow::Result<()> {
        Ok(self.process().as_ref().context("Redis is not running")?.signal(Signal::CONT)?)
    }

    /// Sends a command, such as `CONFIG SET maxmemory 3mb`, and returns the answer as Redis writes it.
    ///
    /// # Errors
    /// Fails when the server does not respond, or refuses the command.
    pub fn command(&self, words: &[&str]) -> anyhow::Result<String> {
        blocking(|| {
            use std::io::{Read as _, Write as _};
            let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port))?;
            stream.set_read_timeout(Some(LIMIT))?;
            let mut text = format!("*{}\r\n", words.len());
            for word in words {
                text.push_str(&format!("${}\r\n{word}\r\n", word.len()));
            }
            // The server ends the connection after its answer.
            text.push_str("*1\r\n$4\r\nQUIT\r\n");
            stream.write_all(text.as_bytes())?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer)?;
            let answer = answer.strip_suffix("+OK\r\n").unwrap_or(&answer).trim_end().to_owned();
            if answer.starts_with('-') {
                bail!("{answer}");
            }
            Ok(answer)
        })
    }

    fn process(&self) -> MutexGuard<'_, Option<Process>> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the URL of the server.
    pub fn url(&self) -> String {
        format!("redis://{}:{}", Ipv4Addr::LOCALHOST, self.port)
    }

    /// Checks that a server could be started, without starting it.
    ///
    /// # Errors
    /// Fails when Redis is not installed.
    pub fn find() -> Result<(), Unavailable> {
        Redis::installed().map(drop)
    }

    fn installed() -> Result<PathBuf, Unavailable> {
        machine::program(&["redis-server"]).ok_or_else(|| Part::Redis.missing("apt-get install redis-server"))
    }
}
