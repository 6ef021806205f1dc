//! A record that nobody can read, and an operator who looks at it, tries it and throws it away: over HTTP, and on the command line.
use anyhow::{Context, Result, ensure};
use contracts::v1::message::CounselReplied;
use cqrs_core::Contract;
use end_to_end::{Program, free_port};
use rdkafka::{
    ClientConfig,
    message::{Header, OwnedHeaders},
    producer::{BaseProducer, BaseRecord, Producer},
};
use reqwest::Method;
use serde_json::Value;
use std::{
    path::Path,
    time::{Duration, Instant},
};
use test_support::{Kafka, Postgres};

const SECRET: &str = "operators-operators-operators-operators";
const READER: &str = "user.token-accounting";
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) async fn is_seen_and_discarded(postgres: &'static Postgres, kafka: Kafka) -> Result<()> {
    // Only plain HTTP is spoken here, but the client wants to know how it would encrypt.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let folder = tempfile::tempdir()?;
    let database = postgres.create_database("user_service")?;
    let (listen, operations) = (format!("127.0.0.1:{}", free_port()?), format!("127.0.0.1:{}", free_port()?));
    let variables = [
        ("HEARLERS_DATABASE", database.url()),
        ("HEARLERS_KAFKA", kafka.bootstrap()),
        ("HEARLERS_LISTEN", &listen),
        ("HEARLERS_OPERATIONS", &operations),
        ("HEARLERS_INTERNAL_SECRET", "internal-internal-internal-internal"),
        ("HEARLERS_OPERATOR_SECRET", SECRET),
    ];
    let mut service = Program::start_with("user-service", &[], &variables, &folder.path().join("log"))?;
    service.listens(&listen).await?;
    let desk = Desk(operations.clone());
    ensure!(desk.ask(Method::GET, "/parked", &[]).await?.0 == 200);

    unreadable(kafka.bootstrap()).await?;
    let began = Instant::now();
    let parked = loop {
        let (_, parked) = desk.ask(Method::GET, "/parked", &[]).await?;
        if parked != Value::Array(Vec::new()) {
            break parked;
        }
        ensure!(began.elapsed() < PATIENCE, "nothing was parked");
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    ensure!(parked[0]["reader"] == READER && parked[0]["count"] == 1, "{parked}");
    let key = parked[0]["key"].as_str().context("a key")?.to_owned();
    let which = [("reader", READER), ("key", &key)];
    let page = [which[0], which[1], ("limit", "1"), ("body", "true")];
    let (_, messages) = desk.ask(Method::GET, "/parked/messages", &page).await?;
    let number = messages[0]["number"].to_string();
    ensure!(messages[0]["body"] == "////", "as it came: {messages}");
    let after = [which[0], which[1], ("after", &number)];
    ensure!(desk.ask(Method::GET, "/parked/messages", &after).await?.1 == Value::Array(Vec::new()));

    let rehearsed = [which[0], which[1], ("dry_run", "true")];
    desk.ask(Method::POST, "/parked/replay", &rehearsed).await?;
    let (_, replayed) = desk.ask(Method::POST, "/parked/replay", &which).await?;
    ensure!(replayed["replayed"] == Value::Array(Vec::new()) && !replayed["stopped"].is_null(), "{replayed}");
    let listed = on_the_command_line(folder.path(), &variables).await?;
    ensure!(listed[0]["reader"] == READER && listed[0]["key"] == key, "{listed}");

    let discard = [which[0], which[1], ("number", &number), ("why", "written by a test")];
    ensure!(desk.ask(Method::POST, "/parked/discard", &discard).await?.0 == 200);
    ensure!(desk.ask(Method::GET, "/parked", &[]).await?.1 == Value::Array(Vec::new()));
    ensure!(desk.ask(Method::POST, "/parked/discard", &discard).await?.0 == 404, "it is gone already");
    let pool = sqlx::PgPool::connect(database.url()).await?;
    let audit = "select metadata::text || convert_from(payload, 'UTF8') from cqrs.log where name = 'parked.discarded'";
    let acts: Vec<String> = sqlx::query_scalar(audit).fetch_all(&pool).await?;
    ensure!(acts.len() == 1 && acts[0].contains("kim") && acts[0].contains("written by a test"), "{acts:?}");
    service.terminate(Duration::from_secs(10)).await?;
    Ok(())
}

/// Says that a counsellor has replied, in bytes that are no such event.
async fn unreadable(brokers: &str) -> Result<()> {
    let producer: BaseProducer = ClientConfig::new().set("bootstrap.servers", brokers).create()?;
    tokio::task::spawn_blocking(move || {
        let headers = OwnedHeaders::new()
            .insert(Header { key: "ce_type", value: Some(CounselReplied::NAME) })
            .insert(Header { key: "ce_id", value: Some("0190a8f0-0000-7000-8000-000000000001") });
        let record = BaseRecord::to(CounselReplied::TOPIC).key("kim").payload(&[0xff_u8; 3][..]).headers(headers);
        producer.send(record).map_err(|(error, _)| error)?;
        Ok(producer.flush(Duration::from_secs(30))?)
    })
    .await?
}

/// `user-service parked list`, beside the running service.
async fn on_the_command_line(folder: &Path, variables: &[(&str, &str)]) -> Result<Value> {
    let log = folder.join("list");
    let quiet: Vec<_> = variables.iter().copied().chain([("RUST_LOG", "off")]).collect();
    let command = Program::start_with("user-service", &["parked", "list"].map(str::to_owned), &quiet, &log)?;
    ensure!(command.ends(PATIENCE).await? == Some(0), "{}", std::fs::read_to_string(&log)?);
    Ok(serde_json::from_str(&std::fs::read_to_string(&log)?)?)
}

/// An operator at the operations port.
struct Desk(String);
impl Desk {
    async fn ask(&self, method: Method, path: &str, query: &[(&str, &str)]) -> Result<(u16, Value)> {
        let mut url = reqwest::Url::parse(&format!("http://{}{path}", self.0))?;
        url.query_pairs_mut().extend_pairs(query);
        let request = reqwest::Client::new().request(method, url);
        let answer = request.bearer_auth(SECRET).header("hearlers-operator", "kim").send().await?;
        let status = answer.status().as_u16();
        Ok((status, serde_json::from_str(&answer.text().await?)?))
    }
}
