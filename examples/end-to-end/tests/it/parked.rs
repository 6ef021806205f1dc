//! An operator lists, redelivers and discards an unreadable record, over HTTP and on the command line.
use anyhow::{Context, Result, ensure};
use contracts::v1::message::CounselReplied;
use cqrs_core::IntegrationEvent;
use end_to_end::{Program, free_port};
use rdkafka::{
    ClientConfig,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::DefaultClientContext,
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

const SECRET: &str = "kims-secret-kims-secret-kims-secret";
const OPERATORS: &str = "kim=kims-secret-kims-secret-kims-secret\nlee=lees-secret-lees-secret-lees-secret";
const PREFIX: &str = "staging.";
const READER: &str = "user.token-accounting";
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) async fn is_listed_and_discarded(postgres: &'static Postgres, kafka: Kafka) -> Result<()> {
    // The client requires a TLS provider although it sends only plain HTTP here.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let folder = tempfile::tempdir()?;
    let database = postgres.create_database("user_service")?;
    let (listen, operations) = (format!("127.0.0.1:{}", free_port()?), format!("127.0.0.1:{}", free_port()?));
    let variables = [
        ("HEARLERS_DATABASE", database.url()),
        ("HEARLERS_KAFKA", kafka.bootstrap()),
        ("HEARLERS_KAFKA_PREFIX", PREFIX),
        ("HEARLERS_LISTEN", &listen),
        ("HEARLERS_OPERATIONS", &operations),
        ("HEARLERS_CALLER_KEYS", "gateway=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="),
        ("HEARLERS_OPERATORS", OPERATORS),
    ];
    let mut service = Program::start_with("user-service", &[], &variables, &folder.path().join("log"))?;
    service.listens(&listen).await?;
    let operator = Operator(operations.clone());
    ensure!(operator.ask(Method::GET, "/parked", &[]).await?.0 == 200);

    send_unreadable_record(kafka.bootstrap()).await?;
    let began = Instant::now();
    let parked = loop {
        let (_, parked) = operator.ask(Method::GET, "/parked", &[]).await?;
        if parked != Value::Array(Vec::new()) {
            break parked;
        }
        ensure!(began.elapsed() < PATIENCE, "the record was not parked in time");
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    ensure!(parked[0]["reader"] == READER && parked[0]["count"] == 1, "{parked}");
    let key = parked[0]["key"].as_str().context("no key")?.to_owned();
    let target = [("reader", READER), ("key", &key)];
    let unexplained = [target[0], target[1], ("limit", "1"), ("body", "true")];
    ensure!(operator.ask(Method::GET, "/parked/messages", &unexplained).await?.0 == 400, "a look needs a reason");
    let page = [target[0], target[1], ("limit", "1"), ("body", "true"), ("why", "asked by the person")];
    let (_, messages) = operator.ask(Method::GET, "/parked/messages", &page).await?;
    let number = messages[0]["number"].to_string();
    ensure!(messages[0]["body"] == "////", "the body was changed: {messages}");
    let after = [target[0], target[1], ("after", &number)];
    ensure!(operator.ask(Method::GET, "/parked/messages", &after).await?.1 == Value::Array(Vec::new()));

    let dry_run = [target[0], target[1], ("dry_run", "true")];
    operator.ask(Method::POST, "/parked/redeliver", &dry_run).await?;
    let (_, redelivered) = operator.ask(Method::POST, "/parked/redeliver", &target).await?;
    ensure!(redelivered["redelivered"] == Value::Array(Vec::new()), "{redelivered}");
    ensure!(!redelivered["stopped"].is_null(), "{redelivered}");
    let listed = on_the_command_line(folder.path(), &variables).await?;
    ensure!(listed[0]["reader"] == READER && listed[0]["key"] == key, "{listed}");

    on_the_database_of_another_service(folder.path(), &variables).await?;
    ensure!(
        operator.ask(Method::GET, "/parked", &[]).await?.1 == listed,
        "another service's command changed something"
    );

    let discard = [target[0], target[1], ("number", &number), ("why", "written by a test")];
    ensure!(operator.ask(Method::POST, "/parked/discard", &discard).await?.0 == 200);
    ensure!(operator.ask(Method::GET, "/parked", &[]).await?.1 == Value::Array(Vec::new()));
    ensure!(operator.ask(Method::POST, "/parked/discard", &discard).await?.0 == 404, "the message was discarded twice");
    let pool = sqlx::PgPool::connect(database.url()).await?;
    let audit = "select metadata::text || convert_from(payload, 'UTF8') from cqrs.log where name = $1";
    for (name, reason) in [("parked.discarded", "written by a test"), ("parked.shown", "asked by the person")] {
        let acts: Vec<String> = sqlx::query_scalar(audit).bind(name).fetch_all(&pool).await?;
        ensure!(acts.len() == 1 && acts[0].contains("kim") && acts[0].contains(reason), "{name}: {acts:?}");
    }
    let guessed = reqwest::Client::new().get(format!("http://{operations}/parked")).bearer_auth("guessed-secret");
    ensure!(guessed.send().await?.status().as_u16() == 403);
    service.terminate(Duration::from_secs(10)).await?;
    let log = std::fs::read_to_string(folder.path().join("log"))?;
    let refusal = log.lines().find(|line| line.contains("operator_refused")).context("the refusal is not logged")?;
    ensure!(refusal.contains("127.0.0.1") && refusal.contains("/parked"), "{refusal}");
    ensure!(!log.contains("guessed-secret") && !log.contains(SECRET), "the log has a secret");
    Ok(())
}

/// Creates the topic in place of the counseling service, its owner, and sends a record with the type of `CounselReplied`
/// and an invalid body.
async fn send_unreadable_record(brokers: &str) -> Result<()> {
    let mut settings = ClientConfig::new();
    settings.set("bootstrap.servers", brokers);
    let topic = format!("{PREFIX}{}", CounselReplied::TOPIC);
    let admin: AdminClient<DefaultClientContext> = settings.create()?;
    let created =
        admin.create_topics(&[NewTopic::new(&topic, 2, TopicReplication::Fixed(1))], &AdminOptions::new()).await?;
    ensure!(created.iter().all(std::result::Result::is_ok), "{created:?}");
    let producer: BaseProducer = settings.create()?;
    tokio::task::spawn_blocking(move || {
        let headers = OwnedHeaders::new()
            .insert(Header { key: "ce_type", value: Some(CounselReplied::NAME) })
            .insert(Header { key: "ce_id", value: Some("0190a8f0-0000-7000-8000-000000000001") });
        let record = BaseRecord::to(&topic).key("kim").payload(&[0xff_u8; 3][..]).headers(headers);
        producer.send(record).map_err(|(error, _)| error)?;
        Ok(producer.flush(Duration::from_secs(30))?)
    })
    .await?
}

/// Runs `user-service parked list` while the service is running.
async fn on_the_command_line(folder: &Path, variables: &[(&str, &str)]) -> Result<Value> {
    let log = folder.join("list");
    let quiet: Vec<_> = variables.iter().copied().chain([("RUST_LOG", "off")]).collect();
    let command = Program::start_with("user-service", &["parked", "list"].map(str::to_owned), &quiet, &log)?;
    ensure!(command.ends(PATIENCE).await? == Some(0), "{}", std::fs::read_to_string(&log)?);
    Ok(serde_json::from_str(&std::fs::read_to_string(&log)?)?)
}

/// Runs the commands of the counseling service with the user service's database by mistake.
async fn on_the_database_of_another_service(folder: &Path, variables: &[(&str, &str)]) -> Result<()> {
    let discard = ["parked", "discard", READER, "kim", "1", "--why", "by mistake", "--by", "kim"];
    let redeliver = ["parked", "redeliver", "--all", "--by", "kim"];
    for arguments in [&["parked", "list"][..], &redeliver, &discard, &["topics", "accept", CounselReplied::TOPIC]] {
        let log = folder.join("refused");
        let arguments: Vec<_> = arguments.iter().map(|&argument| argument.to_owned()).collect();
        let command = Program::start_with("counseling-service", &arguments, variables, &log)?;
        let (code, said) = (command.ends(PATIENCE).await?, std::fs::read_to_string(&log)?);
        ensure!(
            code == Some(2) && said.contains("the database belongs to service user"),
            "{arguments:?}: {code:?} {said}"
        );
    }
    Ok(())
}

/// An operator, as a client of the operations endpoint.
struct Operator(String);
impl Operator {
    async fn ask(&self, method: Method, path: &str, query: &[(&str, &str)]) -> Result<(u16, Value)> {
        let mut url = reqwest::Url::parse(&format!("http://{}{path}", self.0))?;
        url.query_pairs_mut().extend_pairs(query);
        let request = reqwest::Client::new().request(method, url);
        let response = request.bearer_auth(SECRET).send().await?;
        let status = response.status().as_u16();
        Ok((status, serde_json::from_str(&response.text().await?)?))
    }
}
