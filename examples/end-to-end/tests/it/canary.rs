//! Secrets are never written: every secret contains a canary here, and no output or response of a program may contain
//! it.
use anyhow::{Context, Result, ensure};
use end_to_end::{Person, Program, free_port};
use serde_json::json;
use service_auth::CallKey;
use std::{path::Path, time::Duration};
use test_support::{Kafka, Postgres};

/// A part of every secret that occurs nowhere else.
const CANARY: &str = "canary-7f3a";
const PATIENCE: Duration = Duration::from_secs(30);
/// A private key in base64, which has a canary of its own: the letters that it begins with.
const CALL_KEY: &str = "canary7f3aAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
const CALL_KEY_CANARY: &str = "canary7f3a";
/// The variables with secrets, each with a pattern for its value.
const SECRETS: [(&str, &str); 11] = [
    ("HEARLERS_CALL_KEY", CALL_KEY),
    ("HEARLERS_OPERATORS", "kim=operator-{}-operator-operator-operator"),
    ("HEARLERS_LOG_KEY", "log-{}-log-log-log-log-log-log-log-log"),
    ("HEARLERS_JWT_SECRET", "jwt-{}-jwt-jwt-jwt-jwt-jwt-jwt-jwt-jwt"),
    ("HEARLERS_DATABASE", "postgres://kim:database-{}@127.0.0.1:1/users"),
    ("HEARLERS_DATABASE_PASSWORD", "password-{}"),
    ("HEARLERS_KAFKA_PASSWORD", "kafka-{}"),
    ("HEARLERS_KAFKA_KEY_PASSWORD", "key-{}"),
    ("HEARLERS_RESPONDER_KEY", "responder-{}"),
    ("HEARLERS_KAKAO_SECRET", "kakao-{}"),
    ("HEARLERS_NAVER_SECRET", "naver-{}"),
];
const PROGRAMS: [&str; 4] = ["user-service", "counseling-service", "gateway", "hearlers"];

fn secrets() -> Vec<(&'static str, String)> {
    SECRETS.iter().map(|(name, text)| (*name, text.replace("{}", CANARY))).collect()
}
/// Returns the public key of [`CALL_KEY`], as services take it.
fn callers() -> Result<String> {
    Ok(format!("gateway={}", CallKey::parse(CALL_KEY).context("not a key")?.public()))
}
/// Runs a program with these variables until it ends by itself, and returns its exit code and its output.
async fn ends(name: &str, arguments: &[&str], variables: &[(&str, String)]) -> Result<(Option<i32>, String)> {
    let folder = tempfile::tempdir()?;
    let log = folder.path().join("log");
    let mut all: Vec<(&str, &str)> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let data = folder.path().join("data").display().to_string();
    all.extend([("RUST_LOG", "trace"), ("HEARLERS_DATA", &data)]);
    let arguments: Vec<String> = arguments.iter().map(|argument| (*argument).to_owned()).collect();
    let code = Program::start_with(name, &arguments, &all, &log)?.ends(PATIENCE).await?;
    let output = std::fs::read_to_string(&log)?;
    contains_no_secret(name, &output)?;
    Ok((code, output))
}
fn contains_no_secret(name: &str, output: &str) -> Result<()> {
    let found = output.find(CANARY).or_else(|| output.find(CALL_KEY_CANARY));
    let context =
        found.map(|at| output.get(at.saturating_sub(200)..).unwrap_or(output).chars().take(300).collect::<String>());
    ensure!(found.is_none(), "{name} wrote a secret: ...{}", context.unwrap_or_default());
    Ok(())
}

pub(crate) async fn no_secret_is_written_at_start() -> Result<()> {
    let detected = contains_no_secret("a program", &format!("key: {CANARY}")).is_err();
    ensure!(detected, "the check does not detect a secret");
    for name in PROGRAMS {
        let (code, output) = ends(name, &["--help"], &secrets()).await?;
        ensure!(code == Some(0) && output.contains("HEARLERS_"), "{name}: {output}");
    }
    // Every secret is invalid: too short, in a place where none is allowed, or combined with a setting that excludes
    // it.
    let mut wrong: Vec<(&str, String)> = secrets().into_iter().map(|(name, _)| (name, CANARY.to_owned())).collect();
    wrong.push(("HEARLERS_RESPONDER_URL", format!("https://kim:{CANARY}@llm/v1")));
    wrong.push(("HEARLERS_OPERATIONS", "127.0.0.1:0".to_owned()));
    for name in PROGRAMS {
        let free: &[&str] =
            if name == "hearlers" { &["--listen", "127.0.0.1:0", "--grpc", "127.0.0.1:0"] } else { &[] };
        let (code, output) = ends(name, free, &wrong).await?;
        let expected = if name == "hearlers" { 1 } else { 2 };
        ensure!(code == Some(expected) && !output.is_empty(), "{name}: {code:?} {output}");
    }
    // The same invalid secrets as command line flags.
    let flags = ["--call-key", CANARY, "--database", CANARY, "--operators", CANARY];
    for name in &PROGRAMS[..2] {
        ensure!(ends(name, &flags, &[]).await?.0 == Some(2));
    }
    // All secrets are valid, but the database does not exist.
    let services = secrets().into_iter().filter(|(name, _)| !name.contains("_PASSWORD"));
    let given = [("HEARLERS_KAFKA", "127.0.0.1:1".to_owned()), ("HEARLERS_CALLER_KEYS", callers()?)];
    let services: Vec<_> = services.chain(given).collect();
    for name in &PROGRAMS[..2] {
        let (code, output) =
            ends(name, &["--listen", "127.0.0.1:0", "--database-start-timeout", "1"], &services).await?;
        ensure!(code == Some(1) && output.contains("database"), "{name}: {code:?} {output}");
    }
    Ok(())
}

/// Runs the services at log level TRACE, with requests of a user and unauthorized requests to every endpoint.
pub(crate) async fn no_secret_is_written_at_work(postgres: &'static Postgres, kafka: Kafka) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut system = Vec::new();
    let (users, counseling, gateway) = (address()?, address()?, address()?);
    let operations = [address()?, address()?, address()?];
    for (name, listen, operations) in [
        ("user-service", &users, &operations[0]),
        ("counseling-service", &counseling, &operations[1]),
        ("gateway", &gateway, &operations[2]),
    ] {
        let mut variables = secrets();
        // The server requires no password and accepts any.
        let database = postgres.create_database(name)?.url().replacen("postgres@", &format!("postgres:{CANARY}@"), 1);
        ensure!(database.contains(CANARY), "{database}");
        variables.retain(|(name, _)| !name.contains("_PASSWORD") && *name != "HEARLERS_DATABASE");
        variables.extend([
            ("HEARLERS_DATABASE", database),
            ("HEARLERS_CALLER_KEYS", callers()?),
            ("HEARLERS_KAFKA", kafka.bootstrap().to_owned()),
            ("HEARLERS_LISTEN", listen.clone()),
            ("HEARLERS_OPERATIONS", operations.clone()),
            ("HEARLERS_USER_SERVICE", format!("http://{users}")),
            ("HEARLERS_COUNSELING_SERVICE", format!("http://{counseling}")),
            ("HEARLERS_RESPONDER_URL", "http://127.0.0.1:1/v1".to_owned()), // unreachable, so that the error is logged
            ("RUST_LOG", "trace".to_owned()),
        ]);
        let variables: Vec<(&str, &str)> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let mut program = Program::start_with(name, &[], &variables, &log(folder.path(), name))?;
        program.listens(listen).await.with_context(|| read(folder.path(), name))?;
        system.push((name, program));
    }
    let mut responses = work(&format!("http://{gateway}")).await?;
    for address in &operations {
        responses += &request_without_authorization(address).await?;
    }
    contains_no_secret("a response", &responses)?;
    for (name, program) in system {
        program.terminate(PATIENCE).await?;
        let output = read(folder.path(), name);
        ensure!(
            output.contains("TRACE") && output.len() > 10_000,
            "{name} wrote too little to prove anything: {output}"
        );
        contains_no_secret(name, &output)?;
    }
    Ok(())
}

async fn work(base: &str) -> Result<String> {
    let person = Person::visit(base).await?;
    let counsel = person.open_counsel(&person.a_counselor().await?).await?;
    let refused = person.send_message(&counsel, "안녕하세요", "one").await?;
    ensure!(refused.status == 503, "expected 503 while the model is unreachable: {refused:?}");
    let unauthorized = reqwest::Client::new().get(format!("{base}/v1/users/me")).bearer_auth("nonsense").send().await?;
    let invalid = person.ask(reqwest::Method::POST, &format!("{counsel}/messages"), Some(json!({})), None).await?;
    Ok(format!("{refused:?}{invalid:?}{}", unauthorized.text().await?))
}

async fn request_without_authorization(operations: &str) -> Result<String> {
    let mut responses = String::new();
    for path in ["/health/ready", "/metrics", "/parked", "/parked/messages?reader=a&key=b", "/programs"] {
        let request = reqwest::Client::new().get(format!("http://{operations}{path}"));
        let response = request.bearer_auth("guessed").header("hearlers-operator", "kim").send().await?;
        let is_public = path.starts_with("/health") || path == "/metrics";
        ensure!(
            response.status().is_success() == is_public || response.status().as_u16() == 404,
            "{path}: {response:?}"
        );
        responses += &response.text().await?;
    }
    Ok(responses)
}

fn address() -> Result<String> {
    Ok(format!("127.0.0.1:{}", free_port()?))
}
fn log(folder: &Path, name: &str) -> std::path::PathBuf {
    folder.join(format!("{name}.log"))
}
fn read(folder: &Path, name: &str) -> String {
    std::fs::read_to_string(log(folder, name)).unwrap_or_default()
}
