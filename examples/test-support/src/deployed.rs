//! The Kafka node of `examples/deploy/compose.yaml`, made and started by the scripts of the deployment.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail, ensure};

use crate::kafka::{self, Installed};
use crate::machine::{self, Scratch, blocking};
use crate::part::{Part, Unavailable};
use crate::process::{self, Process};
use crate::rights::{self, Operation, Resource};

const MAKE_SECRETS: &str = include_str!("../../deploy/make-secrets");
const START: &str = include_str!("../../deploy/kafka-start");
const RIGHTS: &str = include_str!("../../deploy/kafka-rights");
const SETTINGS: &str = include_str!("../../deploy/kafka-compose.properties");

/// A separate node with the passwords and rights of the deployment: its clients log in by SCRAM over TLS.
///
/// The scripts run as they are, except for paths and ports, since a container has its own. Rights are given by the requests
/// that `kafka-acls.sh` would send, because it is not among Kafka's jars.
///
/// ```no_run
/// # use test_support::DeployedKafka;
/// let kafka = DeployedKafka::start()?;
/// println!("bootstrap.servers={}", kafka.bootstrap());
/// println!("sasl.password={}", std::fs::read_to_string(kafka.password("user-service"))?);
/// # Ok::<(), anyhow::Error>(())
/// ```
pub struct DeployedKafka {
    _process: Process, // it is killed before its folder is removed
    scratch: Scratch,
    port: u16,
}

impl DeployedKafka {
    /// Makes the secrets, starts the node, and gives the services their rights.
    ///
    /// # Errors
    /// Fails when Java or Kafka's jars are missing, and when a script fails: `make-secrets` needs `openssl`.
    pub fn start() -> Result<DeployedKafka, Unavailable> {
        blocking(|| {
            let installed = Installed::find()?;
            DeployedKafka::launch(&installed).map_err(|error| Part::Kafka.broken(format!("{error:#}")))
        })
    }

    /// Checks that a node could be started, without starting it.
    pub(crate) fn find() -> Result<(), Unavailable> {
        Installed::find()?;
        machine::program(&["openssl"]).map(drop).ok_or_else(|| Part::Kafka.missing("no openssl on the PATH"))
    }

    /// Returns the value for a client's `bootstrap.servers`.
    pub fn bootstrap(&self) -> String {
        format!("localhost:{}", self.port)
    }

    /// Returns the file of the authority that signed the node's certificate, PEM.
    pub fn authority(&self) -> PathBuf {
        self.scratch.join("secrets/ca.crt")
    }

    /// Returns the file with the password of a user, such as `user-service`.
    pub fn password(&self, user: &str) -> PathBuf {
        self.scratch.join("secrets").join(format!("kafka_{}", user.replace('-', "_")))
    }

    /// Returns the output of the node and of the script that started it.
    ///
    /// # Errors
    /// Fails when the file cannot be read.
    pub fn log(&self) -> anyhow::Result<String> {
        Ok(fs::read_to_string(self.scratch.join("log"))?)
    }

    fn launch(installed: &Installed) -> anyhow::Result<DeployedKafka> {
        let scratch = Scratch::new("deployed-kafka")?;
        let (port, controller) = (machine::free_port()?, machine::free_port()?);
        let bash = machine::program(&["bash"]).context("no bash on the PATH")?;
        for folder in ["bin", "etc", "run"] {
            fs::create_dir(scratch.join(folder))?;
        }
        for (name, text) in [
            ("make-secrets", MAKE_SECRETS),
            ("kafka-start", START),
            ("kafka-rights", RIGHTS),
            ("etc/kafka.properties", SETTINGS),
        ] {
            fs::write(scratch.join(name), adapted(text, scratch.path(), port, controller))?;
        }
        for (name, text) in programs(installed, &scratch.join("rights")) {
            fs::write(scratch.join("bin").join(name), text)?;
        }
        process::output(Command::new(&bash).arg(scratch.join("make-secrets"))).context("make-secrets")?;

        let mut start = process::guarded(&bash, "KILL", None);
        start.arg(scratch.join("kafka-start"));
        let one_at_a_time = kafka::starting();
        let mut process = Process::spawn(start, &scratch.join("log"))?;
        let clients = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let is_open = || TcpStream::connect_timeout(&clients, kafka::PATIENCE).is_ok();
        process.wait_until(kafka::LIMIT, is_open).context("kafka-start")?;
        drop(one_at_a_time);

        let mut rights = Command::new(&bash);
        rights.arg(scratch.join("kafka-rights")).env_remove("HEARLERS_KAFKA_PREFIX");
        process::output(&mut rights).context("kafka-rights")?;
        let calls = fs::read_to_string(scratch.join("rights")).context("kafka-rights gives no rights")?;
        // The node itself may do everything, and its controller has a listener for the node alone.
        let controller = SocketAddr::from((Ipv4Addr::LOCALHOST, controller));
        for call in calls.lines() {
            give(call, controller).with_context(|| format!("kafka-acls.sh {call}"))?;
        }
        Ok(DeployedKafka { _process: process, scratch, port })
    }
}

/// Returns a file of the deployment with paths and ports of this machine in place of those of the containers.
fn adapted(text: &str, folder: &Path, port: u16, controller: u16) -> String {
    let folder = folder.display();
    [
        ("/run/secrets", format!("{folder}/secrets")),
        ("/run/kafka", format!("{folder}/run")),
        ("/etc/hearlers", format!("{folder}/etc")),
        ("/var/lib/kafka/data", format!("{folder}/data")),
        ("/tmp/admin.properties", format!("{folder}/admin.properties")),
        ("/opt/kafka/bin/", format!("bash {folder}/bin/")),
        ("CLIENTS://:9092", format!("CLIENTS://127.0.0.1:{port}")),
        ("kafka:9092", format!("localhost:{port}")),
        ("127.0.0.1:9093", format!("127.0.0.1:{controller}")),
    ]
    .into_iter()
    .fold(text.to_owned(), |text, (theirs, ours)| text.replace(theirs, &ours))
}

/// Returns the programs of Kafka's image that the scripts use. That for rights writes its arguments to a file.
fn programs(installed: &Installed, rights: &Path) -> [(&'static str, String); 3] {
    let (java, libs) = (installed.java.display(), installed.libs.display());
    let java = format!("exec '{java}' {} -cp '{libs}/*'", kafka::JAVA_OPTIONS.join(" "));
    [
        ("kafka-storage.sh", format!("{java} kafka.tools.StorageTool \"$@\"\n")),
        ("kafka-server-start.sh", format!("{java} kafka.Kafka \"$@\"\n")),
        ("kafka-acls.sh", format!("echo \"$@\" >>'{}'\n", rights.display())),
    ]
}

/// Gives the rights of one call of `kafka-acls.sh`.
fn give(call: &str, node: SocketAddr) -> anyhow::Result<()> {
    let (mut principal, mut resource, mut is_prefix, mut operations) = (None, None, false, Vec::new());
    let mut words = call.split_whitespace();
    while let Some(option) = words.next() {
        let mut value = || words.next().with_context(|| format!("{option} has no value"));
        match option {
            "--add" => {}
            "--bootstrap-server" | "--command-config" => {
                value()?;
            }
            "--allow-principal" => principal = Some(value()?),
            "--topic" => resource = Some(Resource::Topic(value()?)),
            "--group" => resource = Some(Resource::Group(value()?)),
            "--resource-pattern-type" => is_prefix = value()? == "prefixed",
            "--operation" => operations.push(match value()? {
                "Create" => Operation::Create,
                "Read" => Operation::Read,
                "Write" => Operation::Write,
                other => bail!("the operation {other} is not one that services need"),
            }),
            other => bail!("the option {other} is not known here"),
        }
    }
    let (principal, resource) = principal.zip(resource).context("no principal, or no resource")?;
    ensure!(!operations.is_empty(), "no operation");
    operations.into_iter().try_for_each(|operation| rights::allow(node, principal, resource, is_prefix, operation))
}
