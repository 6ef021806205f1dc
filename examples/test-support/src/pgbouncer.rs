//! A PgBouncer for tests, between a test and a PostgreSQL server, which lends a session for one transaction.

use std::fs;
use std::net::{Ipv4Addr, TcpStream};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use url::Url;

use crate::machine::{self, Scratch, blocking};
use crate::part::{Part, Unavailable};
use crate::postgres::{Database, Postgres};
use crate::process::{self, Process, User};

/// The time limit of starting a pooler.
const LIMIT: Duration = Duration::from_secs(20);

/// A PgBouncer in transaction mode, a child of this process. Successive transactions of a client use different sessions.
///
/// ```no_run
/// # use test_support::{PgBouncer, Postgres};
/// let postgres = Postgres::shared()?;
/// let pooler = PgBouncer::start(postgres, &[])?;
/// let url = pooler.url(&postgres.create_database("orders")?);
/// # Ok::<(), anyhow::Error>(())
/// ```
pub struct PgBouncer {
    port: u16,
    _process: Process,
    _scratch: Scratch,
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
        let configuration = scratch.join("pgbouncer.ini");
        let text = format!(
            "[databases]\n* = host={host} port={server_port} user=postgres\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
             listen_port = {port}\nunix_socket_dir =\nauth_type = any\npool_mode = transaction\n\
             default_pool_size = 15\nserver_round_robin = 1\nmax_client_conn = 400\nserver_idle_timeout = 10\n{}\n",
            settings.join("\n")
        );
        fs::write(&configuration, text)?;
        let mut command = process::guarded(&program, "KILL", user);
        command.current_dir(scratch.path()).arg(&configuration);
        let mut process = Process::spawn(command, &scratch.join("log"))?;
        let ready = || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok();
        blocking(|| process.wait_until(LIMIT, ready)).context("PgBouncer does not start")?;
        Ok(PgBouncer { port, _process: process, _scratch: scratch })
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
    pub(crate) fn find() -> Result<(), Unavailable> {
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
