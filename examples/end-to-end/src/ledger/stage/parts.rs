//! The servers of a run: one PostgreSQL and one Kafka for all scenarios that leave them in peace, and own ones for the others.
use anyhow::{Context, Result};
use rdkafka::{mocking::MockCluster, producer::DefaultProducerContext};
use std::{fmt, path::Path, process::Command, rc::Rc, sync::Arc};
use test_support::{Kafka, Postgres, Unavailable};

/// What a scenario needs of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Needs {
    /// A PostgreSQL server to stop and crash.
    pub postgres: bool,
    /// A Kafka node to kill and freeze.
    pub kafka: bool,
    /// librdkafka's mock cluster in Kafka's place, of so many brokers.
    pub mock: i32,
}

/// The servers of a scenario.
#[derive(Clone)]
pub struct Parts {
    /// PostgreSQL.
    pub postgres: Arc<Postgres>,
    /// Kafka; not where the mock cluster stands in for it.
    pub kafka: Option<Arc<Kafka>>,
    /// The mock cluster.
    pub mock: Option<Rc<Mock>>,
}
impl fmt::Debug for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Parts({})", self.bootstrap())
    }
}

/// librdkafka's brokers, in this process.
pub struct Mock {
    cluster: MockCluster<'static, DefaultProducerContext>,
    brokers: i32,
}
impl Mock {
    fn new(brokers: i32) -> Result<Mock> {
        Ok(Mock { cluster: MockCluster::new(brokers).context("the mock cluster")?, brokers })
    }
    /// What faults are asked of.
    pub fn cluster(&self) -> &MockCluster<'static, DefaultProducerContext> {
        &self.cluster
    }
    /// How many copies a topic has.
    pub fn replicas(&self) -> i32 {
        self.brokers.min(3)
    }
    /// Creates a topic: its clients cannot.
    ///
    /// # Errors
    /// When it refuses.
    pub fn create_topic(&self, topic: &str, partitions: i32, replicas: i32) -> Result<()> {
        Ok(self.cluster.create_topic(topic, partitions, replicas)?)
    }
}

impl Parts {
    /// Starts what all share.
    ///
    /// # Errors
    /// A part is not on this machine.
    pub fn start() -> Result<Parts, Unavailable> {
        fetch_jars();
        Ok(Parts { postgres: Arc::new(Postgres::start()?), kafka: Some(Arc::new(Kafka::start()?)), mock: None })
    }
    /// What a scenario gets: the shared ones, but for what it needs of its own.
    ///
    /// # Errors
    /// When one does not start.
    pub fn of_ones_own(&self, needs: Needs) -> Result<Parts> {
        let mut parts = self.clone();
        if needs.postgres {
            parts.postgres = Arc::new(Postgres::start()?);
        }
        if needs.kafka {
            parts.kafka = Some(Arc::new(Kafka::start()?));
        }
        if needs.mock > 0 {
            (parts.kafka, parts.mock) = (None, Some(Rc::new(Mock::new(needs.mock)?)));
        }
        Ok(parts)
    }
    /// `bootstrap.servers`.
    pub fn bootstrap(&self) -> String {
        match (&self.mock, &self.kafka) {
            (Some(mock), _) => mock.cluster.bootstrap_servers(),
            (None, Some(kafka)) => kafka.bootstrap().to_owned(),
            (None, None) => String::new(),
        }
    }
    /// Kafka, where it is a real one.
    ///
    /// # Errors
    /// It is not.
    pub fn kafka(&self) -> Result<&Kafka> {
        self.kafka.as_deref().context("this scenario has no real Kafka")
    }
    /// The mock cluster, where it is one.
    ///
    /// # Errors
    /// It is not.
    pub fn mock(&self) -> Result<&Mock> {
        self.mock.as_deref().context("this scenario has no mock cluster")
    }
}

/// Kafka's jars are fetched once per machine, by the script that `examples/deploy/up` uses as well. What goes wrong is said when
/// Kafka is started without them.
fn fetch_jars() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/kafka-jars");
    if std::env::var_os("CQRS_TEST_KAFKA_LIBS").is_none() && script.exists() {
        let _ = Command::new(script).stdout(std::process::Stdio::null()).status();
    }
}
