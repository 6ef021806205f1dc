//! A PgBouncer for tests, between a test and a PostgreSQL server, which lends a session for one transaction.

use std::fs;
use std::net::{Ipv4Addr, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, bail};
use url::Url;

use crate::machine::{self, Scratch, blocking};
use crate::part::{Part, Unavailable};
use crate::postgres::{Database, Postgres};
use crate::process::{self, Process, Signal, User};

/// The time limit of starting a pooler.
const LIMIT: Duration = Duration::from_secs(20);
/// The name of the configuration file.
const CONFIGURATION: &str = "pgbouncer.ini";

/// A PgBouncer in transaction mode, a child of this process. Successive transactions of a client use different sessions.
/// It may be killed, paused, frozen and started again.
///
/// ```no_run
/// # use test_support::{PgBouncer, Postgres};
/// let postgres = Postgres::shared()?;
/// let pooler = PgBouncer::start(postgres, &[])?;
/// let url = pooler.url(&postgres.create_database("orders")?);
///
/// pooler.kill()?; // cuts every connection
/// pooler.start_again()?; // same port
/// # Ok::<(), anyhow::Error>(())
/// ```
pub struct PgBouncer {
    port: u16,
    process: Mutex<Option<Process>>,
    program: PathBuf,
    user: Option<User>,
    scratch: Scratch,
}

impl PgBouncer {
    /// Starts a pooler in front of a server. `settings` are further lines of its configuration, such as
    /// `ignore_startup_parameters = options`.
    ///
    /// # Errors
    /// Fails when PgBouncer is not installed, or when it does not start.
    pub fn start(server: &Postgres, settings: &[&str]) -> anyhow::Result<PgBouncer> {
        let (program, user) = PgBouncer::installed()?;
        let scratch = Scratch::new("pgbouncer")?;
        if let Some(user) = user {
            std::os::unix::fs::chown(scratch.path(), Some(user.id), Some(user.group))?;
        }
        let port = machine::free_port()?;
        let address = server.address();
        let (host, server_port) = address.rsplit_once(':').context("the server has no port")?;
        let text = format!(
            "[databases]\n* = host={host} port={server_port} user=postgres\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
             listen_port = {port}\nunix_socket_dir =\nauth_type = any\npool_mode = transaction\n\
             default_pool_size = 15\nserver_round_robin = 1\nmax_client_conn = 400\nserver_idle_timeout = 10\n{}\n",
            settings.join("\n")
        );
        fs::write(scratch.join(CONFIGURATION), text)?;
        let pooler = PgBouncer { port, process: Mutex::default(), program, user, scratch };
        pooler.start_again()?;
        Ok(pooler)
    }

    /// Kills the pooler with SIGKILL. The connections of its clients and to the server are lost at once.
    ///
    /// # Errors
    /// Fails when it is not running.
    pub fn kill(&self) -> anyhow::Result<()> {
        let mut process = self.process().take().context("PgBouncer is not running")?;
        blocking(|| process.kill()).context("PgBouncer cannot be killed")
    }

    /// Starts a killed pooler on the same port, and waits until it accepts connections.
    ///
    /// # Errors
    /// Fails when it is running or does not start.
    pub fn start_again(&self) -> anyhow::Result<()> {
        let mut running = self.process();
        if running.is_some() {
            bail!("PgBouncer is running already");
        }
        let mut command: Command = process::guarded(&self.program, "KILL", self.user);
        command.current_dir(self.scratch.path()).arg(self.scratch.join(CONFIGURATION));
        let mut process = Process::spawn(command, &self.scratch.join("log"))?;
        let ready = || TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_ok();
        blocking(|| process.wait_until(LIMIT, ready)).context("PgBouncer does not start")?;
        *running = Some(process);
        Ok(())
    }

    /// Pauses the pooler, as its command `PAUSE` does: transactions in progress go on, others wait, and the connections to
    /// the server are closed. This returns before they are.
    ///
    /// # Errors
    /// Fails when it is not running.
    pub fn pause(&self) -> anyhow::Result<()> {
        self.signal(Signal::USR1)
    }

    /// Ends a pause, as the command `RESUME` does.
    ///
    /// # Errors
    /// Fails when it is not running.
    pub fn resume(&self) -> anyhow::Result<()> {
        self.signal(Signal::USR2)
    }

    /// Freezes the pooler: its connections stay open, and nothing responds.
    ///
    /// # Errors
    /// Fails when it is not running.
    pub fn freeze(&self) -> anyhow::Result<()> {
        let process = self.process();
        blocking(|| Ok(process.as_ref().context("PgBouncer is not running")?.freeze()?))
    }

    /// Resumes a frozen pooler.
    ///
    /// # Errors
    /// Fails when it is not running.
    pub fn thaw(&self) -> anyhow::Result<()> {
        self.signal(Signal::CONT)
    }

    fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        Ok(self.process().as_ref().context("PgBouncer is not running")?.signal(signal)?)
    }

    fn process(&self) -> MutexGuard<'_, Option<Process>> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns `host:port` of the pooler.
    pub fn address(&self) -> String {
        format!("{}:{}", Ipv4Addr::LOCALHOST, self.port)
    }

    /// Returns the URL of a database of the server, through this pooler.
    pub fn url(&self, database: &Database) -> String {
        let mut url = Url::parse(database.url()).expect("the URL of a database");
        // both succeed: the URL has a host
        let _ = url.set_ip_host(Ipv4Addr::LOCALHOST.into());
        let _ = url.set_port(Some(self.port));
        url.into()
    }

    /// Checks that a pooler could be started, without starting it.
    ///
    /// # Errors
    /// Fails when PgBouncer is not installed.
    pub fn find() -> Result<(), Unavailable> {
        PgBouncer::installed().map(drop)
    }

    fn installed() -> Result<(PathBuf, Option<User>), Unavailable> {
        let debian = PathBuf::from("/usr/sbin/pgbouncer");
        let program = machine::program(&["pgbouncer"]).or(Some(debian).filter(|file| machine::is_program(file)));
        let program = program.ok_or_else(|| Part::PgBouncer.missing("apt-get install pgbouncer"))?;
        if !rustix::process::getuid().is_root() {
            return Ok((program, None));
        }
        match process::setpriv().and(User::by_name("postgres")) {
            user @ Some(_) => Ok((program, user)),
            None => Err(Part::PgBouncer.missing("it does not run as root, and there is no user postgres")),
        }
    }
}
