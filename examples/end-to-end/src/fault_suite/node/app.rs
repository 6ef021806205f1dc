//! A node's app: the modules of its role, on real storage and transport with the layers of the scenario.
use super::{Config, Role, clock::Skewed};
use crate::fault_suite::{
    account::{ACCOUNT, Account},
    alarms,
    deploy::{Program, new, new_consumer::NEW_CONSUMER, old, query::QUERIES},
    layers::{
        FailingStorage, FailingTransport, Plain, Scoped, SeededBug, SeededViews, Shared, seeded_storage,
        seeded_transport,
    },
    mirror::{MIRROR, Mirror},
    tally::TALLY,
};
use anyhow::{Context, Result};
use cqrs_core::{
    App, Fault, RetryPolicy, StateStored,
    environment::Environment,
    storage::postgres::{self, Options},
    storage::{Postgres, Redis, Storage},
    transport::Transport,
};
use cqrs_kafka::{Kafka, KafkaConfig};
use sqlx::postgres::PgPoolOptions;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// The time in which a node tries to reach its database.
const PATIENCE: Duration = Duration::from_secs(60);

/// Longer than any scenario.
const NO_LIMIT: Duration = Duration::from_secs(3_600);

/// Builds a node's app.
pub(super) async fn app(config: &Config) -> Result<App> {
    let transport = transport(config)?;
    let service = match config.role {
        Role::Consumer => "mirror",
        Role::Projection => "tally",
        Role::Writer | Role::Relay | Role::Reader | Role::Queries | Role::Rebuild => "faults",
        Role::Alarms => "alarms",
        Role::Orders => "orders",
        Role::Inventory => "inventory",
    };
    let storage: Arc<dyn Storage> = Arc::new(Shared { inner: storage(config, &transport).await?, service });
    let app = App::builder(service);
    let service = match config.role {
        Role::Consumer => {
            let mirror = app.discover_part(MIRROR).aggregate(StateStored::<Mirror>::new());
            if config.program == Some(Program::After) { mirror.discover_part(NEW_CONSUMER) } else { mirror }
        }
        Role::Projection => app.discover_part(TALLY),
        Role::Alarms => alarms::app(),
        Role::Orders => order_fulfilment::orders::app(),
        Role::Inventory => order_fulfilment::inventory::app(),
        Role::Writer | Role::Relay | Role::Reader | Role::Queries | Role::Rebuild => match config.program {
            None => app.discover_part(ACCOUNT).aggregate(StateStored::<Account>::new()),
            Some(Program::Before) => {
                app.discover_part(ACCOUNT).discover_part(old::OLD).aggregate(StateStored::<Account>::new())
            }
            Some(Program::After) => app.discover_part(new::NEW).aggregate(StateStored::<new::Account>::new()),
        },
    };
    let service = match config.role {
        Role::Queries => service.discover_part(QUERIES).query_side(views(config)?),
        _ => service,
    };
    let service = match config.skew {
        0 => service,
        skew => service.environment(Arc::new(Skewed::by(skew)) as Arc<dyn Environment>),
    };
    let service = service.provide(Arc::new(config.behaviour.clone())).lease(Duration::from_millis(config.lease));
    let mut retry_policy = RetryPolicy::default();
    match config.seeded_bug {
        Some(SeededBug::WithoutBreaker) => retry_policy.circuit_breaker = None,
        Some(SeededBug::WithoutRetries) => retry_policy.attempts = 1,
        _ => (),
    }
    let service = service.retry_policy(retry_policy);
    Ok(service.storage(Plain(storage)).transport(Plain(transport)).build()?)
}

/// Returns the views of a query server, in a Redis that the query servers of the scenario share.
fn views(config: &Config) -> Result<SeededViews> {
    let url = config.views.as_deref().context("the scenario has no Redis")?;
    let redis = Redis::open(url, &config.scope).map_err(anyhow::Error::new)?;
    Ok(SeededViews::new(Arc::new(redis), config.seeded_bug))
}

fn transport(config: &Config) -> Result<Arc<dyn Transport>> {
    let mut kafka = KafkaConfig::new(&config.kafka);
    kafka.client_id.clone_from(&config.name);
    (kafka.partitions, kafka.replication, kafka.create_topics) = (config.partitions, Some(1), config.creates);
    kafka.instance.clone_from(&config.instance);
    kafka.session = Duration::from_millis(config.session);
    (kafka.patience, kafka.drain) = (Duration::from_secs(3), Duration::from_secs(3));
    let mut transport: Arc<dyn Transport> = Arc::new(Kafka::connect(kafka)?);
    transport = Arc::new(Scoped { inner: transport, scope: config.scope.clone() });
    if let Some(fail) = config.fail.clone() {
        transport = Arc::new(FailingTransport { inner: transport, fail });
    }
    Ok(seeded_transport(config.seeded_bug, transport))
}

async fn storage(config: &Config, transport: &Arc<dyn Transport>) -> Result<Arc<dyn Storage>> {
    let mut options = Options::default();
    options.max_connections = config.connections;
    let began = Instant::now();
    let mut database = postgres::Config::parse(&config.database)?;
    database.statement_timeout = match config.seeded_bug {
        Some(SeededBug::WithoutTimeLimit) => NO_LIMIT,
        _ => Duration::from_millis(config.statement_timeout),
    };
    let postgres = loop {
        match Postgres::open(&database, options.clone()).await {
            Ok(postgres) => break postgres,
            Err(fault) if began.elapsed() > PATIENCE => return Err(fault).context("cannot connect to the database"),
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    };
    let mut storage: Arc<dyn Storage> = Arc::new(postgres);
    if let Some(fail) = config.fail.clone() {
        storage = Arc::new(FailingStorage { inner: storage, fail });
    }
    let pool = PgPoolOptions::new().max_connections(2).connect_lazy(&config.database)?;
    Ok(seeded_storage(config.seeded_bug, storage, &pool, transport))
}

/// Returns true if a start was refused, so that another attempt cannot succeed.
pub(super) fn is_refusal(fault: &Fault) -> bool {
    let source = std::error::Error::source(fault)
        .and_then(|source| source.downcast_ref::<cqrs_core::transport::TransportError>());
    fault.kind() != cqrs_core::ErrorKind::Unavailable || source.is_some_and(|error| error.permanent)
}
