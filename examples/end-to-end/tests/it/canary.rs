//! Secrets are never written: each is a canary here, and nothing that a program writes or answers may hold one.
use anyhow::{Context, Result, ensure};
use end_to_end::{Person, Program, free_port};
use serde_json::json;
use std::{path::Path, time::Duration};
use test_support::{Kafka, Postgres};

/// In every secret, and nowhere else.
const CANARY: &str = "canary-7f3a";
const PATIENCE: Duration = Duration::from_secs(30);
/// What holds a secret, with what stands around it.
const SECRETS: [(&str, &str); 8] = [
    ("HEARLERS_INTERNAL_SECRET", "internal-{}-internal-internal-internal"),
    ("HEARLERS_OPERATOR_SECRET", "operator-{}-operator-operator-operator"),
    ("HEARLERS_JWT_SECRET", "jwt-{}-jwt-jwt-jwt-jwt-jwt-jwt-jwt-jwt"),
    ("HEARLERS_DATABASE", "postgres://kim:database-{}@127.0.0.1:1/users"),
    ("HEARLERS_DATABASE_PASSWORD", "password-{}"),
    ("HEARLERS_KAFKA_PASSWORD", "kafka-{}"),
    ("HEARLERS_KAFKA_KEY_PASSWORD", "key-{}"),
    ("HEARLERS_RESPONDER_KEY", "responder-{}"),
];
const PROGRAMS: [&str; 4] = ["user-service", "counseling-service", "gateway", "hearlers"];

fn secrets() -> Vec<(&'static str, String)> {
    SECRETS.iter().map(|(name, text)| (*name, text.replace("{}", CANARY))).collect()
}
/// Runs it with these variables until it ends by itself: its exit code, and all that it wrote.
async fn ends(name: &str, arguments: &[&str], variables: &[(&str, String)]) -> Result<(Option<i32>, String)> {
    let folder = tempfile::tempdir()?;
    let log = folder.path().join("log");
    let mut all: Vec<(&str, &str)> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let data = folder.path().join("data").display().to_string();
    all.extend([("RUST_LOG", "trace"), ("HEARLERS_DATA", &data)]);
    let arguments: Vec<String> = arguments.iter().map(|it| (*it).to_owned()).collect();
    let code = Program::start_with(name, &arguments, &all, &log)?.ends(PATIENCE).await?;
    let wrote = std::fs::read_to_string(&log)?;
    silent(name, &wrote)?;
    Ok((code, wrote))
}
fn silent(name: &str, wrote: &str) -> Result<()> {
    let at = wrote.find(CANARY);
    let around =
        at.map(|at| wrote.get(at.saturating_sub(200)..).unwrap_or(wrote).chars().take(300).collect::<String>());
    ensure!(at.is_none(), "{name} wrote a secret: ...{}", around.unwrap_or_default());
    Ok(())
}

pub(crate) async fn is_silent_at_start() -> Result<()> {
    ensure!(silent("a program", &format!("key: {CANARY}")).is_err(), "a canary that sings is heard");
    for name in PROGRAMS {
        let (code, wrote) = ends(name, &["--help"], &secrets()).await?;
        ensure!(code == Some(0) && wrote.contains("HEARLERS_"), "{name}: {wrote}");
    }
    // Each secret as wrong as it can be: too short, in the wrong place, with the wrong neighbours.
    let mut wrong: Vec<(&str, String)> = secrets().into_iter().map(|(name, _)| (name, CANARY.to_owned())).collect();
    wrong.push(("HEARLERS_RESPONDER_URL", format!("https://kim:{CANARY}@llm/v1")));
    wrong.push(("HEARLERS_OPERATIONS", "127.0.0.1:0".to_owned()));
    for name in PROGRAMS {
        let free: &[&str] =
            if name == "hearlers" { &["--listen", "127.0.0.1:0", "--grpc", "127.0.0.1:0"] } else { &[] };
        let (code, wrote) = ends(name, free, &wrong).await?;
        let expected = if name == "hearlers" { 1 } else { 2 };
        ensure!(code == Some(expected) && !wrote.is_empty(), "{name}: {code:?} {wrote}");
    }
    // In flags, where they are worse kept.
    let flags = ["--internal-secret", CANARY, "--database", CANARY, "--operator-secret", CANARY];
    for name in &PROGRAMS[..2] {
        ensure!(ends(name, &flags, &[]).await?.0 == Some(2));
    }
    // All right, but there is no such database.
    let services = secrets().into_iter().filter(|(name, _)| !name.contains("_PASSWORD"));
    let services: Vec<_> = services.chain([("HEARLERS_KAFKA", "127.0.0.1:1".to_owned())]).collect();
    for name in &PROGRAMS[..2] {
        let (code, wrote) = ends(name, &["--listen", "127.0.0.1:0"], &services).await?;
        ensure!(code == Some(1) && wrote.contains("database"), "{name}: {code:?} {wrote}");
    }
    Ok(())
}

/// The services at work with everything logged that there is to log, and strangers at every door.
pub(crate) async fn is_silent(postgres: &'static Postgres, kafka: Kafka) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut system = Vec::new();
    let (users, counseling, gateway) = (address()?, address()?, address()?);
    let operations = [address()?, address()?, address()?];
    for (name, at, port) in [
        ("user-service", &users, &operations[0]),
        ("counseling-service", &counseling, &operations[1]),
        ("gateway", &gateway, &operations[2]),
    ] {
        let mut variables = secrets();
        // The server asks nobody for a password, and takes any.
        let database = postgres.create_database(name)?.url().replacen("postgres@", &format!("postgres:{CANARY}@"), 1);
        ensure!(database.contains(CANARY), "{database}");
        variables.retain(|(name, _)| !name.contains("_PASSWORD") && *name != "HEARLERS_DATABASE");
        variables.extend([
            ("HEARLERS_DATABASE", database),
            ("HEARLERS_KAFKA", kafka.bootstrap().to_owned()),
            ("HEARLERS_LISTEN", at.clone()),
            ("HEARLERS_OPERATIONS", port.clone()),
            ("HEARLERS_USER_SERVICE", format!("http://{users}")),
            ("HEARLERS_COUNSELING_SERVICE", format!("http://{counseling}")),
            ("HEARLERS_RESPONDER_URL", "http://127.0.0.1:1/v1".to_owned()), // a model that is away, so that it is logged
            ("RUST_LOG", "trace".to_owned()),
        ]);
        let variables: Vec<(&str, &str)> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let mut program = Program::start_with(name, &[], &variables, &log(folder.path(), name))?;
        program.listens(at).await.with_context(|| read(folder.path(), name))?;
        system.push((name, program));
    }
    let mut answers = work(&format!("http://{gateway}")).await?;
    for port in &operations {
        answers += &ask_as_stranger(port).await?;
    }
    silent("an answer", &answers)?;
    for (name, program) in system {
        program.terminate(PATIENCE).await?;
        let wrote = read(folder.path(), name);
        ensure!(wrote.contains("TRACE") && wrote.len() > 10_000, "{name} wrote too little to prove anything: {wrote}");
        silent(name, &wrote)?;
    }
    Ok(())
}

async fn work(base: &str) -> Result<String> {
    let person = Person::visit(base).await?;
    let counsel = person.open_counsel(&person.a_counselor().await?).await?;
    let said = person.say(&counsel, "안녕하세요", "one").await?;
    ensure!(said.status == 503, "the model is away: {said:?}");
    let nobody = reqwest::Client::new().get(format!("{base}/v1/users/me")).bearer_auth("nonsense").send().await?;
    let cut = person.ask(reqwest::Method::POST, &format!("{counsel}/messages"), Some(json!({})), None).await?;
    Ok(format!("{said:?}{cut:?}{}", nobody.text().await?))
}

async fn ask_as_stranger(operations: &str) -> Result<String> {
    let mut answers = String::new();
    for path in ["/health/ready", "/metrics", "/parked", "/parked/messages?reader=a&key=b"] {
        let request = reqwest::Client::new().get(format!("http://{operations}{path}"));
        let answer = request.bearer_auth("guessed").header("hearlers-operator", "kim").send().await?;
        let may = !path.starts_with("/parked");
        ensure!(answer.status().is_success() == may || answer.status().as_u16() == 404, "{path}: {answer:?}");
        answers += &answer.text().await?;
    }
    Ok(answers)
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
