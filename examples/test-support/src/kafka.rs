//! An Apache Kafka node for tests, which may be stopped, killed and frozen.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, bail};

use crate::certificates::Authority;
use crate::door::Door;
use crate::machine::{self, Scratch, blocking};
use crate::part::{Part, Unavailable};
use crate::process::{self, Process, Signal};
use crate::proxy::Proxy;
use crate::rights::{self, Right};

/// The time limit of starting and stopping a node. It usually takes seconds, but longer on a busy machine.
pub(crate) const LIMIT: Duration = Duration::from_secs(90);
/// The time limit of one connection.
pub(crate) const PATIENCE: Duration = Duration::from_secs(2);
/// The number of attempts when a port is taken between finding and using it.
const PORTS_TO_TRY: usize = 2;
/// The options of Java: a small heap, and warnings alone on the output.
pub(crate) const JAVA_OPTIONS: [&str; 2] = ["-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-Xmx512m"];
/// The settings that do not depend on ports and folders.
const SETTINGS: &str = include_str!("../../deploy/kafka.properties");
/// The cluster id: any 16 bytes in base64.
const CLUSTER_ID: &str = "Y3Fycy10ZXN0LWJyb2tlcg";

/// Serialises the start of nodes: many JVMs that warm up at once miss their own heartbeats on a small machine.
static STARTING: Mutex<()> = Mutex::new(());

static SHARED: OnceLock<Result<Kafka, Unavailable>> = OnceLock::new();

/// An Apache Kafka node (KRaft, broker and controller in one): a child of this process, or the cluster in
/// `CQRS_TEST_KAFKA`.
///
/// Topics are not created automatically, and the first member of a consumer group does not wait for others. The methods
/// block for a short time and may be called from async tests.
///
/// ```no_run
/// # use test_support::Kafka;
/// let kafka = Kafka::start()?;
/// println!("bootstrap.servers={}", kafka.bootstrap());
///
/// kafka.freeze()?; // as a long garbage collection does
/// kafka.thaw()?;
/// kafka.kill()?; // SIGKILL; the process has ended when this returns
/// kafka.start_again()?; // same port, same data
/// # Ok::<(), anyhow::Error>(())
/// ```
pub struct Kafka {
    bootstrap: String,
    node: Option<Node>,
}

/// A node that this process started.
struct Node {
    process: Mutex<Option<Process>>,
    installed: Installed,
    ports: Ports,
    scratch: Scratch,
    door: Option<Door>,
    /// True if the node checks the rights of its clients.
    authorizes: bool,
}

/// The authority of a node's certificate, and those of its clients.
type Secured<'a> = (&'a Authority, &'a [&'a Authority]);

/// The installed programs and jars.
pub(crate) struct Installed {
    pub(crate) java: PathBuf,
    pub(crate) libs: PathBuf,
}

struct Ports {
    /// The listener for client certificates. `scram` is the listener for passwords, also over TLS.
    tls: u16,
    scram: u16,
    clients: u16,
    controller: u16,
    /// The listener behind the proxy. It advertises the proxy's port, so that clients do not bypass the proxy.
    proxied: u16,
    proxy: u16,
}

impl Kafka {
    /// Starts a separate node, which a test may kill and freeze. Dropping it ends the node and removes its data.
    ///
    /// # Errors
    /// Fails when Java or Kafka's jars are missing, or when the node does not start.
    pub fn start() -> Result<Kafka, Unavailable> {
        Kafka::start_with(None, false)
    }

    /// Starts a separate node that checks the rights of its clients (`StandardAuthorizer`). A topic or group without any
    /// [`Right`] is open to everybody.
    ///
    /// # Errors
    /// As [`Kafka::start`].
    ///
    /// ```no_run
    /// # use test_support::{Kafka, Operation, Resource, Right};
    /// let kafka = Kafka::start_authorizing()?;
    /// let write = Right { resource: Resource::Topic("orders"), operation: Operation::Write };
    /// kafka.grant(write)?; // from now on nothing but writing is allowed on this topic
    /// kafka.revoke(write)?; // and now everything again
    /// # Ok::<(), anyhow::Error>(())
    /// ```
    pub fn start_authorizing() -> Result<Kafka, Unavailable> {
        Kafka::start_with(None, true)
    }

    /// Starts a separate node with two more listeners, which show a certificate of `authority`: one for clients with
    /// certificates of the trusted authorities, and one for a password.
    ///
    /// # Errors
    /// As [`Kafka::start`].
    pub fn start_secured(authority: &Authority, trusted: &[&Authority]) -> Result<Kafka, Unavailable> {
        Kafka::start_with(Some((authority, trusted)), false)
    }

    /// Gives the secured listeners a certificate of `authority`, and accepts the clients of the trusted authorities alone.
    /// The node is restarted, so every client has to connect again.
    ///
    /// # Errors
    /// Fails when the node has no secured listeners, or when it does not restart.
    pub fn renew_certificates(&self, authority: &Authority, trusted: &[&Authority]) -> anyhow::Result<()> {
        let node = self.ours()?;
        node.door.as_ref().context("the node has no secured listeners")?.renew(authority, trusted)?;
        self.stop()?;
        self.start_again()
    }

    /// Changes the password of [`Door::NAME`]. Connections that are open stay open.
    ///
    /// # Errors
    /// Fails when this process did not start the node, or when it does not respond.
    pub fn set_password(&self, password: &str) -> anyhow::Result<()> {
        let node = self.ours()?;
        let mut command = node.installed.java();
        command.args(["kafka.admin.ConfigCommand", "--bootstrap-server", &self.bootstrap, "--alter"]);
        command.args(["--entity-type", "users", "--entity-name", Door::NAME]);
        command.args(["--add-config", &format!("SCRAM-SHA-512=[password={password}]")]);
        blocking(|| process::output(&mut command)).context("changing a password")?;
        Ok(())
    }

    /// Grants a right to every client.
    ///
    /// # Errors
    /// Fails when this process did not start the node, when it checks no rights, or when it does not respond.
    pub fn grant(&self, right: Right<'_>) -> anyhow::Result<()> {
        let node = self.ours()?.clients();
        blocking(|| right.grant(node))
    }

    /// Takes a right away from every client. Clients keep their connections, and notice it at their next request.
    ///
    /// # Errors
    /// As [`Kafka::grant`].
    pub fn revoke(&self, right: Right<'_>) -> anyhow::Result<()> {
        let node = self.ours()?.clients();
        blocking(|| right.revoke(node))
    }

    /// Returns the address of the listener that requires a client certificate.
    pub fn tls(&self) -> Option<String> {
        self.node.as_ref().filter(|node| node.door.is_some()).map(|node| format!("localhost:{}", node.ports.tls))
    }

    /// Returns the address of the listener that requires the password of [`Door::NAME`], over TLS.
    pub fn scram(&self) -> Option<String> {
        self.node.as_ref().filter(|node| node.door.is_some()).map(|node| format!("localhost:{}", node.ports.scram))
    }

    fn start_with(secured: Option<Secured<'_>>, authorizes: bool) -> Result<Kafka, Unavailable> {
        blocking(|| {
            let installed = Installed::find()?;
            let node = Node::start(installed, secured, authorizes);
            let node = node.map_err(|error| Part::Kafka.broken(format!("{error:#}")))?;
            Ok(Kafka { bootstrap: format!("127.0.0.1:{}", node.ports.clients), node: Some(node) })
        })
    }

    /// Returns the broker that all tests of this process share: the one in `CQRS_TEST_KAFKA`, or a node that the first
    /// call
    /// starts. Tests use unique names for topics and groups.
    ///
    /// # Errors
    /// As [`Kafka::start`].
    ///
    /// ```no_run
    /// println!("bootstrap.servers={}", test_support::Kafka::shared()?.bootstrap());
    /// # Ok::<(), test_support::Unavailable>(())
    /// ```
    pub fn shared() -> Result<&'static Kafka, Unavailable> {
        blocking(|| {
            SHARED.get_or_init(|| match machine::variable("CQRS_TEST_KAFKA") {
                Some(bootstrap) => Ok(Kafka { bootstrap, node: None }),
                None => Kafka::start(),
            })
        })
        .as_ref()
        .map_err(Unavailable::clone)
    }

    /// Checks that a node could be started, without starting it.
    pub(crate) fn find() -> Result<(), Unavailable> {
        Installed::find().map(drop)
    }

    /// Checks that [`Kafka::shared`] could start or use a broker.
    pub(crate) fn find_shared() -> Result<(), Unavailable> {
        if machine::variable("CQRS_TEST_KAFKA").is_some() { Ok(()) } else { Kafka::find() }
    }

    /// Ends the shared node, if one was started. It is called at the end of the run, because a static is never dropped.
    pub(crate) fn end_shared() {
        if let Some(Ok(Kafka { node: Some(node), .. })) = SHARED.get() {
            node.end();
        }
    }

    /// Returns the value for a client's `bootstrap.servers`.
    pub fn bootstrap(&self) -> &str {
        &self.bootstrap
    }

    /// Opens a proxy with network faults between clients and this node. A client that uses the proxy's address as
    /// `bootstrap.servers` always connects through it. A node has one proxy at a time.
    ///
    /// # Errors
    /// Fails when this process did not start the node ([`Kafka::shared`] with `CQRS_TEST_KAFKA`), or when it has a
    /// proxy.
    ///
    /// ```no_run
    /// # async fn example(kafka: test_support::Kafka) -> anyhow::Result<()> {
    /// let network = kafka.proxy().await?;
    /// println!("bootstrap.servers={}", network.address());
    /// network.blackhole(true);
    /// # Ok(()) }
    /// ```
    pub async fn proxy(&self) -> anyhow::Result<Proxy> {
        let ports = &self.ours()?.ports;
        Ok(Proxy::listening(ports.proxy, format!("127.0.0.1:{}", ports.proxied)).await?)
    }

    /// Stops the node in an orderly way, and waits until it has ended.
    ///
    /// # Errors
    /// Fails when this process did not start the node, or when it is not running or does not end in time.
    pub fn stop(&self) -> anyhow::Result<()> {
        self.ours()?.stop()
    }

    /// Kills the node with SIGKILL, and waits until the process has ended.
    ///
    /// # Errors
    /// Fails when this process did not start the node, or when it is not running.
    pub fn kill(&self) -> anyhow::Result<()> {
        let mut process = self.ours()?.process().take().context("Kafka is not running")?;
        blocking(|| process.kill()).context("Kafka cannot be killed")
    }

    /// Starts a stopped or killed node on the same ports with the same data, and waits until it serves clients.
    ///
    /// # Errors
    /// Fails when this process did not start the node, or when it is running or does not start. The error contains the
    /// end of
    /// its log.
    pub fn start_again(&self) -> anyhow::Result<()> {
        self.ours()?.launch()
    }

    /// Freezes the node: its connections stay open, and it does not respond.
    ///
    /// # Errors
    /// Fails when this process did not start the node, or when it is not running.
    pub fn freeze(&self) -> anyhow::Result<()> {
        let process = self.ours()?.process();
        let process = process.as_ref().context("Kafka is not running")?;
        blocking(|| process.freeze()).context("Kafka takes no signal")
    }

    /// Resumes a frozen node.
    ///
    /// # Errors
    /// Fails when this process did not start the node, or when it is not running.
    pub fn thaw(&self) -> anyhow::Result<()> {
        let process = self.ours()?.process();
        process.as_ref().context("Kafka is not running")?.signal(Signal::CONT).context("Kafka takes no signal")
    }

    fn ours(&self) -> anyhow::Result<&Node> {
        self.node.as_ref().context("the broker in CQRS_TEST_KAFKA must not be stopped by tests; use Kafka::start()")
    }
}

impl Installed {
    pub(crate) fn find() -> Result<Installed, Unavailable> {
        let home = machine::variable("JAVA_HOME").map(|home| Path::new(&home).join("bin/java"));
        let java = home.filter(|java| machine::is_program(java)).or_else(|| machine::program(&["java"]));
        let java = java.ok_or_else(|| Part::Kafka.missing("no java (17 or later) on the PATH"))?;
        let libs = match machine::variable("CQRS_TEST_KAFKA_LIBS").map(PathBuf::from) {
            // a wrong path is a configuration error, not a machine without Kafka
            Some(libs) if !libs.is_dir() => {
                let reason = format!("CQRS_TEST_KAFKA_LIBS is {}, which is not a folder", libs.display());
                return Err(Part::Kafka.broken(reason));
            }
            Some(libs) => libs,
            None => Installed::newest_cached().ok_or_else(|| {
                Part::Kafka.missing("no jars; run examples/deploy/kafka-jars, or set CQRS_TEST_KAFKA_LIBS=<folder>")
            })?,
        };
        Ok(Installed { java, libs })
    }

    /// Returns the newest version that `examples/deploy/kafka-jars` has fetched completely.
    fn newest_cached() -> Option<PathBuf> {
        let cache = Path::new(&machine::variable("HOME")?).join(".cache/cqrs-kafka");
        let versions = fs::read_dir(cache).ok()?.flatten().map(|entry| entry.path());
        versions.filter(|libs| libs.join("complete").is_file()).max_by_key(|libs| {
            let name = libs.file_name().unwrap_or_default().to_string_lossy();
            name.split('.').map(|number| number.parse::<u32>().unwrap_or(0)).collect::<Vec<_>>()
        })
    }

    fn java(&self) -> Command {
        let mut java = process::guarded(&self.java, "KILL", None);
        java.args(JAVA_OPTIONS);
        java.arg("-cp").arg(self.libs.join("*"));
        java
    }
}

impl Ports {
    fn draw() -> std::io::Result<Ports> {
        let port = machine::free_port;
        Ok(Ports {
            tls: port()?,
            scram: port()?,
            clients: port()?,
            controller: port()?,
            proxied: port()?,
            proxy: port()?,
        })
    }

    fn configuration(&self, data: &Path, door: Option<&Door>) -> String {
        let Ports { clients, controller, proxied, proxy, .. } = self;
        let data = data.display();
        let secured = door.map(|door| door.configuration(self.tls, self.scram));
        let (settings, listeners) = secured.unwrap_or_default();
        format!(
            "{SETTINGS}{settings}\
             listeners={listeners}CLIENTS://127.0.0.1:{clients},PROXIED://127.0.0.1:{proxied},CONTROLLER://127.0.0.1:{controller}\n\
             advertised.listeners={listeners}CLIENTS://127.0.0.1:{clients},PROXIED://127.0.0.1:{proxy},\
             CONTROLLER://127.0.0.1:{controller}\n\
             controller.quorum.bootstrap.servers=127.0.0.1:{controller}\n\
             log.dirs={data}\n"
        )
    }
}

impl Node {
    fn start(installed: Installed, secured: Option<Secured<'_>>, authorizes: bool) -> anyhow::Result<Node> {
        let scratch = Scratch::new("kafka")?;
        let door = secured.map(|(shown, trusted)| Door::new(shown, trusted, scratch.path())).transpose()?;
        let ports = Ports::draw()?;
        let mut node = Node { process: Mutex::default(), installed, ports, scratch, door, authorizes };
        for attempt in 1.. {
            node.format()?;
            match node.launch() {
                // the log may not name the cause, but a node that is only slow would still be running
                Err(error) if attempt < PORTS_TO_TRY && format!("{error:#}").contains("it ended with") => {
                    node.ports = Ports::draw()?;
                }
                result => return result.map(|()| node),
            }
        }
        unreachable!("the last attempt returns")
    }

    /// Writes the configuration and an empty data folder, which stores the controller's address.
    fn format(&self) -> anyhow::Result<()> {
        let data = self.scratch.join("data");
        if data.exists() {
            fs::remove_dir_all(&data)?;
        }
        let configuration = self.scratch.join("server.properties");
        let mut settings = self.ports.configuration(&data, self.door.as_ref());
        if self.authorizes {
            settings += rights::SETTINGS;
        }
        fs::write(&configuration, settings)?;
        let mut format = self.installed.java();
        format.args(["-XX:TieredStopAtLevel=1", "kafka.tools.StorageTool", "format", "--standalone"]);
        if self.door.is_some() {
            format.args(["--add-scram", Door::USER]);
        }
        process::output(format.args(["--cluster-id", CLUSTER_ID, "--config"]).arg(configuration))
            .context("formatting Kafka's data folder")?;
        Ok(())
    }

    fn launch(&self) -> anyhow::Result<()> {
        let mut running = self.process();
        if running.is_some() {
            bail!("Kafka is running already");
        }
        let _one_at_a_time = starting();
        let mut kafka = self.installed.java();
        kafka.arg("kafka.Kafka").arg(self.scratch.join("server.properties")).current_dir(self.scratch.path());
        let mut process = Process::spawn(kafka, &self.scratch.join("log"))?;
        let broker = self.clients();
        blocking(|| process.wait_until(LIMIT, || serves(broker).unwrap_or(false))).context("Kafka does not start")?;
        *running = Some(process);
        Ok(())
    }

    /// Returns the address of the listener for clients without encryption.
    fn clients(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.ports.clients))
    }

    fn stop(&self) -> anyhow::Result<()> {
        let mut process = self.process().take().context("Kafka is not running")?;
        process.signal(Signal::CONT)?; // a frozen process does not receive the second signal
        blocking(|| process.end(Signal::TERM, LIMIT)).context("Kafka does not stop")?;
        Ok(())
    }

    fn end(&self) {
        drop(self.process().take()); // dropping kills the process; its data is not needed
        let _ = fs::remove_dir_all(self.scratch.path());
    }

    fn process(&self) -> MutexGuard<'_, Option<Process>> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        blocking(|| self.end());
    }
}

/// Waits until no other node is starting, and lets no other one start until the guard is dropped.
pub(crate) fn starting() -> MutexGuard<'static, ()> {
    blocking(|| STARTING.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Returns whether a broker lists itself as available. Its port opens a little earlier.
fn serves(broker: SocketAddr) -> std::io::Result<bool> {
    const REQUEST: &[u8] = &[
        0, 0, 0, 14, // the number of bytes that follow
        0, 3, 0, 1, // Metadata, version 1
        0, 0, 0, 7, // correlation id
        255, 255, // no client id
        0, 0, 0, 0, // an empty list of topics
    ];
    let mut connection = TcpStream::connect_timeout(&broker, PATIENCE)?;
    connection.set_read_timeout(Some(PATIENCE))?;
    connection.write_all(REQUEST)?;
    let mut response = [0; 12]; // length, correlation id, number of brokers
    connection.read_exact(&mut response)?;
    Ok(response[8..] == [0, 0, 0, 1])
}
