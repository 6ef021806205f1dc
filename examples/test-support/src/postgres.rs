//! A PostgreSQL server for tests, with a database for each test. It may be stopped, crashed and started again.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use url::Url;

use crate::machine::{self, Scratch, blocking};
use crate::part::{Part, Unavailable};
use crate::process::{self, Process, Signal, User};

/// The time limit of starting and stopping a server. A crashed server replays its log first.
const LIMIT: Duration = Duration::from_secs(60);
/// The number of attempts when a port is taken between finding and using it.
const PORTS_TO_TRY: usize = 3;

static SHARED: OnceLock<Result<Postgres, Unavailable>> = OnceLock::new();

/// A PostgreSQL server: a child of this process, or the server in `CQRS_TEST_POSTGRES`.
///
/// The child syncs to disk as in production (`fsync=on`), accepts 200 connections, and requires no password on its
/// loopback port. The methods block for a short time and may be called from async tests.
///
/// ```no_run
/// # use test_support::Postgres;
/// let postgres = Postgres::start()?;
/// let orders = postgres.create_database("orders")?;
/// let copy = postgres.create_database_from(&orders, "orders")?;
/// assert_ne!(orders.url(), copy.url());
///
/// postgres.stop_immediate()?; // as a power failure does
/// postgres.start_again()?; // same port, same data
/// # Ok::<(), anyhow::Error>(())
/// ```
pub struct Postgres {
    admin: Url,
    psql: Option<PathBuf>,
    server: Option<Server>,
    made: Mutex<Vec<Database>>,
}

/// A server that this process started.
struct Server {
    process: Mutex<Option<Process>>,
    installed: Installed,
    port: u16,
    scratch: Scratch,
}

/// The installed programs.
#[derive(Clone)]
struct Installed {
    bin: PathBuf,
    user: Option<User>,
}

impl Postgres {
    /// Starts a separate server, which a test may stop and crash. Dropping it ends the server and removes its data.
    ///
    /// # Errors
    /// Fails when no PostgreSQL server is installed, or when it does not start.
    pub fn start() -> Result<Postgres, Unavailable> {
        blocking(|| {
            let installed = Installed::find()?;
            let started = Server::start(installed).and_then(Postgres::of);
            started.map_err(|error| Part::Postgres.broken(format!("{error:#}")))
        })
    }

    fn of(server: Server) -> anyhow::Result<Postgres> {
        Ok(Postgres {
            admin: Url::parse(&format!("postgres://postgres@127.0.0.1:{}/postgres", server.port))?,
            psql: Some(server.installed.bin.join("psql")).filter(|psql| machine::is_program(psql)),
            server: Some(server),
            made: Mutex::default(),
        })
    }

    /// Returns the server that all tests of this process share: the one in `CQRS_TEST_POSTGRES`, or one that the first
    /// call
    /// starts.
    ///
    /// # Errors
    /// As [`Postgres::start`]. Fails also when the variable is not a `postgres://` URL.
    ///
    /// ```no_run
    /// let database = test_support::Postgres::shared()?.create_database("accounts")?;
    /// # Ok::<(), anyhow::Error>(())
    /// ```
    pub fn shared() -> Result<&'static Postgres, Unavailable> {
        blocking(|| SHARED.get_or_init(Postgres::external_or_start)).as_ref().map_err(Unavailable::clone)
    }

    fn external_or_start() -> Result<Postgres, Unavailable> {
        let Some(url) = machine::variable("CQRS_TEST_POSTGRES") else { return Postgres::start() };
        let admin = Url::parse(&url).map_err(|error| error.to_string());
        let admin = admin.and_then(|url| match (url.scheme(), url.host()) {
            ("postgres" | "postgresql", Some(_)) => Ok(url),
            _ => Err("not postgres://host/database".to_owned()),
        });
        let admin = admin.map_err(|reason| Part::Postgres.broken(format!("CQRS_TEST_POSTGRES: {reason}")))?;
        Ok(Postgres { admin, psql: None, server: None, made: Mutex::default() })
    }

    /// Checks that a server could be started, without starting it.
    pub(crate) fn find() -> Result<(), Unavailable> {
        Installed::find().map(drop)
    }

    /// Checks that [`Postgres::shared`] could start or use a server.
    pub(crate) fn find_shared() -> Result<(), Unavailable> {
        if machine::variable("CQRS_TEST_POSTGRES").is_some() { Ok(()) } else { Postgres::find() }
    }

    /// Ends the shared server, if one was started. It is called at the end of the run, because a static is never
    /// dropped.
    pub(crate) fn end_shared() {
        if let Some(Ok(shared)) = SHARED.get() {
            shared.end();
        }
    }

    /// Returns the URL of a database with this name. The database need not exist.
    pub fn url(&self, database: &str) -> String {
        let mut url = self.admin.clone();
        url.set_path(database);
        url.into()
    }

    /// Returns the URL of the same database through a [`Proxy`](crate::Proxy).
    ///
    /// ```no_run
    /// # use test_support::{Postgres, Proxy};
    /// # async fn example(postgres: &'static Postgres) -> anyhow::Result<()> {
    /// let database = postgres.create_database("orders")?;
    /// let proxy = Proxy::to(postgres.address()).await?;
    /// let url = postgres.url_through(&proxy, &database);
    /// # Ok(()) }
    /// ```
    pub fn url_through(&self, proxy: &crate::Proxy, database: &Database) -> String {
        let mut url = self.admin.clone();
        url.set_path(&database.name);
        // both succeed: the admin URL has a host
        let _ = url.set_ip_host(proxy.address().ip());
        let _ = url.set_port(Some(proxy.address().port()));
        url.into()
    }

    /// Returns `host:port` of the server, for a [`Proxy`](crate::Proxy).
    pub fn address(&self) -> String {
        format!("{}:{}", self.admin.host_str().unwrap_or("127.0.0.1"), self.admin.port().unwrap_or(5432))
    }

    /// Creates an empty database for one test; `name` is the prefix of its unique name.
    ///
    /// # Errors
    /// Fails when the server does not respond, or when `psql` is not installed.
    pub fn create_database(&self, name: &str) -> anyhow::Result<Database> {
        self.create(None, name)
    }

    /// Creates a copy of a database, which is faster than migrating again. Close all connections to the template
    /// first; the
    /// call waits for connections that are being closed.
    ///
    /// # Errors
    /// As [`Postgres::create_database`]. Fails also when the template stays in use.
    pub fn create_database_from(&self, template: &Database, name: &str) -> anyhow::Result<Database> {
        self.create(Some(template), name)
    }

    fn create(&self, template: Option<&Database>, name: &str) -> anyhow::Result<Database> {
        let readable: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).take(40).collect();
        let name = format!("{}_{:08x}", readable.to_ascii_lowercase(), fastrand::u32(..));
        let database = Database { url: self.url(&name), name };
        let mut statement = format!("create database {}", database.name);
        if let Some(template) = template {
            statement += &format!(" template {}", template.name);
        }
        blocking(|| {
            let started = Instant::now();
            loop {
                match self.run(&statement) {
                    // the server keeps a closed connection for a moment
                    Err(error) if in_use(&error) && started.elapsed() < Duration::from_secs(5) => {
                        thread::sleep(Duration::from_millis(50));
                    }
                    result => break result,
                }
            }
        })
        .with_context(|| format!("cannot create database {}", database.name))?;
        self.made.lock().unwrap_or_else(PoisonError::into_inner).push(database.clone());
        Ok(database)
    }

    /// Runs a statement on the maintenance database. The statement is visible in the process list, so it must contain
    /// no secret.
    fn run(&self, statement: &str) -> anyhow::Result<String> {
        let psql = self.psql.clone().or_else(|| machine::program(&["psql"]));
        let psql = psql.context("no psql on this machine (postgresql-client) to create a database with")?;
        let mut command = Command::new(psql);
        command.env("PGCONNECT_TIMEOUT", "10").args(["--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--dbname"]);
        process::output(command.arg(self.admin.as_str()).args(["--command", statement]))
    }

    /// Stops the server in the fast mode: rolls back open transactions, closes connections and writes a checkpoint.
    ///
    /// # Errors
    /// Fails when this process did not start the server ([`Postgres::shared`] with `CQRS_TEST_POSTGRES`), or when it
    /// is not
    /// running or does not end in time.
    pub fn stop_fast(&self) -> anyhow::Result<()> {
        self.ours()?.stop(Signal::INT)
    }

    /// Stops the server in the immediate mode, without a checkpoint. The next start recovers from the log, as after a
    /// crash.
    ///
    /// # Errors
    /// As [`Postgres::stop_fast`].
    pub fn stop_immediate(&self) -> anyhow::Result<()> {
        self.ours()?.stop(Signal::QUIT)
    }

    /// Starts a stopped server on the same port with the same data, and waits until it accepts connections.
    ///
    /// # Errors
    /// Fails when this process did not start the server, or when it is running or does not start. The error contains
    /// the end
    /// of its log.
    pub fn start_again(&self) -> anyhow::Result<()> {
        self.ours()?.launch()
    }

    /// Runs [`Postgres::stop_fast`], then [`Postgres::start_again`].
    ///
    /// # Errors
    /// As those two.
    pub fn restart(&self) -> anyhow::Result<()> {
        self.stop_fast()?;
        self.start_again()
    }

    /// Limits the size of the server's files in bytes, to simulate a full disk: the operating system refuses longer
    /// writes.
    /// `None` removes the limit. The server's log has files of 16 MiB, and with a smaller limit it cannot continue.
    ///
    /// # Errors
    /// Fails when this process did not start the server, when it is not running, or when `prlimit` (util-linux) is
    /// missing.
    pub fn limit_files(&self, bytes: Option<u64>) -> anyhow::Result<()> {
        let server = self.ours()?;
        let (id, children) = {
            let process = server.process();
            let process = process.as_ref().context("PostgreSQL is not running")?;
            (process.id(), process.children()?)
        };
        let limit = bytes.map_or_else(|| "unlimited".to_owned(), |limit| limit.to_string());
        let prlimit = machine::program(&["prlimit"]).context("no prlimit on this machine (util-linux)")?;
        // The server first, so that processes it starts from now on inherit the limit.
        for process in [id].into_iter().chain(children) {
            let process = process.to_string();
            let mut command = process::guarded(&prlimit, "KILL", server.installed.user);
            let set = process::output(command.args(["--pid", &process]).arg(format!("--fsize={limit}:unlimited")));
            if let Err(error) = set
                && Path::new("/proc").join(process).exists()
            {
                return Err(error.context("cannot limit the server's files"));
            }
        }
        Ok(())
    }

    /// Freezes every process of the server: its connections stay open, and nothing responds.
    ///
    /// # Errors
    /// Fails when this process did not start the server, or when it is not running.
    pub fn freeze(&self) -> anyhow::Result<()> {
        let process = self.ours()?.process();
        blocking(|| process.as_ref().context("PostgreSQL is not running")?.freeze_all()).map(drop)
    }

    /// Resumes a frozen server.
    ///
    /// # Errors
    /// Fails when this process did not start the server, or when it is not running.
    pub fn thaw(&self) -> anyhow::Result<()> {
        let process = self.ours()?.process();
        process.as_ref().context("PostgreSQL is not running")?.thaw_all()
    }

    /// Kills every process of the server with SIGKILL, as the loss of its machine does.
    ///
    /// # Errors
    /// Fails when this process did not start the server, or when it is not running.
    pub fn kill(&self) -> anyhow::Result<()> {
        let mut process = self.ours()?.process().take().context("PostgreSQL is not running")?;
        blocking(|| process.kill_all()).context("PostgreSQL cannot be killed")
    }

    /// Starts a standby, which follows this server by streaming replication. With `synchronous`, every commit of this
    /// server then waits until the standby has it on its disk (`synchronous_standby_names`). A standby accepts no writes
    /// until [`Postgres::promote`].
    ///
    /// # Errors
    /// Fails when this process did not start the server, when it is not running, or when the standby does not follow it
    /// within a minute.
    ///
    /// ```no_run
    /// # use test_support::Postgres;
    /// let primary = Postgres::start()?;
    /// let standby = primary.start_standby(true)?;
    /// primary.kill()?; // every commit that it has acknowledged is on the standby
    /// standby.promote()?;
    /// # Ok::<(), anyhow::Error>(())
    /// ```
    pub fn start_standby(&self, synchronous: bool) -> anyhow::Result<Postgres> {
        blocking(|| {
            let standby = Postgres::of(self.ours()?.standby()?)?;
            // The setting is made after the copy, so that the standby waits for no other server once it is promoted.
            if synchronous {
                self.run("alter system set synchronous_standby_names = '*'")?;
                self.run("select pg_reload_conf()")?;
            }
            let expected = if synchronous { "sync" } else { "async" };
            let following = format!(
                "do $$ begin assert (select count(*) from pg_stat_replication where state = 'streaming' and sync_state = '{expected}') = 1; end $$"
            );
            let began = Instant::now();
            while let Err(error) = self.run(&following) {
                if began.elapsed() > LIMIT {
                    return Err(error.context("the standby does not follow the server"));
                }
                thread::sleep(Duration::from_millis(50));
            }
            Ok(standby)
        })
    }

    /// Makes a standby a server that accepts writes (`pg_ctl promote`), and waits until it does.
    ///
    /// # Errors
    /// Fails when this process did not start the server, or when it is no standby.
    pub fn promote(&self) -> anyhow::Result<()> {
        let server = self.ours()?;
        let mut promote = server.installed.command("pg_ctl", server.scratch.path());
        promote.args(["promote", "--wait", "--timeout=60", "--pgdata"]).arg(server.scratch.join("data"));
        blocking(|| process::output(&mut promote)).context("the standby cannot be promoted").map(drop)
    }

    fn ours(&self) -> anyhow::Result<&Server> {
        self.server
            .as_ref()
            .context("the server in CQRS_TEST_POSTGRES must not be stopped by tests; use Postgres::start()")
    }

    fn end(&self) {
        match &self.server {
            Some(server) => server.end(),
            None => {
                // the server is not a child of this process, so the database is removed
                for database in self.made.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
                    let _ = self.run(&format!("drop database if exists {} with (force)", database.name));
                }
            }
        }
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        blocking(|| self.end());
    }
}

fn in_use(error: &anyhow::Error) -> bool {
    error.to_string().contains("is being accessed by other users")
}

/// A database created for one test.
#[derive(Debug, Clone)]
pub struct Database {
    name: String,
    url: String,
}

impl Database {
    /// Returns the name of the database.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the URL of the database.
    pub fn url(&self) -> &str {
        &self.url
    }
}

impl Installed {
    fn find() -> Result<Installed, Unavailable> {
        let bin = Installed::newest().ok_or_else(|| {
            let looked = "no initdb and postgres in /usr/lib/postgresql/*/bin or on the PATH";
            Part::Postgres.missing(format!("{looked}; apt-get install postgresql, or set CQRS_TEST_POSTGRES=<url>"))
        })?;
        if !rustix::process::getuid().is_root() {
            return Ok(Installed { bin, user: None });
        }
        match process::setpriv().and(User::by_name("postgres")) {
            user @ Some(_) => Ok(Installed { bin, user }),
            None => {
                let reason = "it does not run as root, and there is no user postgres, or no setpriv to switch to it";
                Err(Part::Postgres.missing(reason))
            }
        }
    }

    fn newest() -> Option<PathBuf> {
        let complete = |bin: &PathBuf| ["initdb", "postgres"].iter().all(|name| machine::is_program(&bin.join(name)));
        let version = |bin: &PathBuf| -> Option<u32> { bin.parent()?.file_name()?.to_str()?.parse().ok() };
        let packaged = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
        let packaged = packaged.map(|entry| entry.path().join("bin")).filter(complete);
        packaged.max_by_key(version).or_else(|| {
            let initdb = fs::canonicalize(machine::program(&["initdb"])?).ok()?; // resolves links, to find the other programs beside it
            Some(initdb.parent()?.to_owned()).filter(complete)
        })
    }

    fn command(&self, name: &str, folder: &Path) -> Command {
        let mut command = process::guarded(&self.bin.join(name), "QUIT", self.user);
        command.current_dir(folder); // a folder that the user may enter
        command
    }
}

impl Server {
    fn start(installed: Installed) -> anyhow::Result<Server> {
        let scratch = Server::folder(&installed)?;
        let mut initdb = installed.command("initdb", scratch.path());
        initdb.args(["--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"]);
        process::output(initdb.arg("--pgdata").arg(scratch.join("data"))).context("initdb")?;
        Server::launched(installed, scratch)
    }

    /// Copies this running server and starts the copy as its standby.
    fn standby(&self) -> anyhow::Result<Server> {
        let installed = self.installed.clone();
        let scratch = Server::folder(&installed)?;
        let mut copy = installed.command("pg_basebackup", scratch.path());
        copy.args(["--write-recovery-conf", "--checkpoint=fast", "--wal-method=stream", "--no-sync", "--no-password"]);
        copy.args(["--username=postgres", "--host=127.0.0.1", "--port", &self.port.to_string()]);
        process::output(copy.arg("--pgdata").arg(scratch.join("data"))).context("pg_basebackup")?;
        Server::launched(installed, scratch)
    }

    /// Creates a folder that belongs to the user of the server.
    fn folder(installed: &Installed) -> anyhow::Result<Scratch> {
        let scratch = Scratch::new("postgres")?;
        if let Some(user) = installed.user {
            std::os::unix::fs::chown(scratch.path(), Some(user.id), Some(user.group))?;
        }
        Ok(scratch)
    }

    fn launched(installed: Installed, scratch: Scratch) -> anyhow::Result<Server> {
        let mut server = Server { process: Mutex::default(), installed, port: 0, scratch };
        for attempt in 1.. {
            server.port = machine::free_port()?;
            match server.launch() {
                Err(error) if attempt < PORTS_TO_TRY && format!("{error:#}").contains("already in use") => {}
                result => return result.map(|()| server),
            }
        }
        unreachable!("the last attempt returns")
    }

    fn launch(&self) -> anyhow::Result<()> {
        let mut running = self.process();
        if running.is_some() {
            bail!("PostgreSQL is running already");
        }
        let mut postgres = self.installed.command("postgres", self.scratch.path());
        postgres.arg("-D").arg(self.scratch.join("data"));
        postgres.arg("-p").arg(self.port.to_string());
        for setting in [
            "listen_addresses=127.0.0.1",
            "unix_socket_directories=", // none: the path of a temporary folder can be too long for a socket
            "max_connections=200",
            "fsync=on", // tests check durability
        ] {
            postgres.arg("-c").arg(setting);
        }
        let mut process = Process::spawn(postgres, &self.scratch.join("log"))?;
        // the server writes its process id to the first line of this file, and its state to the eighth
        let pid_file = self.scratch.join("data/postmaster.pid");
        let id = process.id().to_string();
        let ready = || {
            let text = fs::read_to_string(&pid_file).unwrap_or_default();
            let line = |n| text.lines().nth(n).map(str::trim);
            line(0) == Some(&id) && matches!(line(7), Some("ready" | "standby"))
        };
        blocking(|| process.wait_until(LIMIT, ready)).context("PostgreSQL does not start")?;
        *running = Some(process);
        Ok(())
    }

    fn stop(&self, signal: Signal) -> anyhow::Result<()> {
        let mut process = self.process().take().context("PostgreSQL is not running")?;
        process.thaw_all()?; // a frozen process does not receive the second signal
        blocking(|| process.end(signal, LIMIT)).context("PostgreSQL does not stop")?;
        Ok(())
    }

    fn end(&self) {
        let _ = self.stop(Signal::QUIT);
        let _ = fs::remove_dir_all(self.scratch.path());
    }

    fn process(&self) -> MutexGuard<'_, Option<Process>> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
