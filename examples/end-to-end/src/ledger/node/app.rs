//! A node's app: the role's part of the program, on real storage and transport with the layers that the scenario wants.
use super::{Config, Role, clock::Skewed};
use crate::ledger::{
    account::{ACCOUNT, Account},
    layers::{FailingStorage, FailingTransport, Plain, Scoped, plant_storage, plant_transport},
    mirror::{MIRROR, Mirror},
    tally::TALLY,
};
use anyhow::{Context, Result};
use cqrs_core::{
    App, Fault, Rows, Running,
    storage::{Postgres, Storage, postgres::Options},
    transport::Transport,
    world::World,
};
use cqrs_kafka::{Kafka, KafkaConfig};
use sqlx::postgres::PgPoolOptions;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// How long a node tries to reach its database.
const PATIENCE: Duration = Duration::from_secs(60);

/// A node's app.
pub(super) async fn app(config: &Config) -> Result<Running> {
    let transport = transport(config)?;
    let storage = storage(config, &transport).await?;
    let service = match config.role {
        Role::Consumer => App::new("mirror").discover(MIRROR).aggregate(Rows::<Mirror>::new()),
        Role::Projection => App::new("tally").discover(TALLY),
        Role::Writer | Role::Relay | Role::Reader => {
            App::new("ledger").discover(ACCOUNT).aggregate(Rows::<Account>::new())
        }
    };
    let service = match config.skew {
        0 => service,
        skew => service.world(Arc::new(Skewed::by(skew)) as Arc<dyn World>),
    };
    let service = service.provide(Arc::new(config.temper.clone())).lease(Duration::from_millis(config.lease));
    Ok(service.storage(Plain(storage)).transport(Plain(transport)).build()?)
}

fn transport(config: &Config) -> Result<Arc<dyn Transport>> {
    let kafka = Kafka::connect(KafkaConfig {
        client_id: config.name.clone(),
        partitions: config.partitions,
        replication: Some(1),
        create_topics: config.creates,
        instance: config.instance.clone(),
        session: Duration::from_millis(config.session),
        patience: Duration::from_secs(3),
        drain: Duration::from_secs(3),
        ..KafkaConfig::new(&config.kafka)
    })?;
    let mut transport: Arc<dyn Transport> = Arc::new(kafka);
    transport = Arc::new(Scoped { inner: transport, scope: config.scope.clone() });
    if let Some(fail) = config.fail.clone() {
        transport = Arc::new(FailingTransport { inner: transport, fail });
    }
    Ok(plant_transport(config.plant, transport))
}

async fn storage(config: &Config, transport: &Arc<dyn Transport>) -> Result<Arc<dyn Storage>> {
    let options = || Options { max_connections: config.connections, ..Options::default() };
    let began = Instant::now();
    let postgres = loop {
        match Postgres::connect_with(&config.database, options()).await {
            Ok(postgres) => break postgres,
            Err(fault) if began.elapsed() > PATIENCE => return Err(fault).context("no database"),
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    };
    let mut storage: Arc<dyn Storage> = Arc::new(postgres);
    if let Some(fail) = config.fail.clone() {
        storage = Arc::new(FailingStorage { inner: storage, fail });
    }
    let pool = PgPoolOptions::new().max_connections(2).connect_lazy(&config.database)?;
    Ok(plant_storage(config.plant, storage, &pool, transport))
}

/// Whether a start failed for good: trying again cannot help.
pub(super) fn is_refusal(fault: &Fault) -> bool {
    let source =
        std::error::Error::source(fault).and_then(|it| it.downcast_ref::<cqrs_core::transport::TransportError>());
    fault.kind() != cqrs_core::ErrorKind::Unavailable || source.is_some_and(|it| it.permanent)
}
