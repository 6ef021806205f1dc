//! Tests of the program with a real database and broker.
use contracts::v1::service::{FindCounselorsRequest, counselor_service_client::CounselorServiceClient};
use std::{
    net::TcpListener,
    process::{Child, Command, Stdio},
    time::Duration,
};
use test_support::{Kafka, Postgres, Trials};
use tokio::time::{sleep, timeout};

const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) fn trials() -> Trials {
    Trials::new()
        .test("all invalid settings are reported at once", invalid_settings_are_reported)
        .test("it serves until it receives a signal", it_serves_until_a_signal)
}

fn program() -> Command {
    let mut program = Command::new(env!("CARGO_BIN_EXE_counseling-service"));
    program.env_clear().stdout(Stdio::null());
    program
}

async fn invalid_settings_are_reported() -> anyhow::Result<()> {
    let mut program = program();
    program.env("HEARLERS_DATABASE", "kim:hunter2@host").env("HEARLERS_RESPONDER_URL", "llm");
    let ended = program.env("HEARLERS_RESPONDER_KEY", "sk-1").output()?;
    let printed = String::from_utf8(ended.stderr)?;
    assert_eq!(ended.status.code(), Some(2), "{printed}");
    for name in ["HEARLERS_DATABASE", "HEARLERS_KAFKA", "HEARLERS_RESPONDER_URL", "HEARLERS_INTERNAL_SECRET"] {
        assert!(printed.contains(name), "{printed}");
    }
    assert!(!printed.contains("hunter2") && !printed.contains("sk-1"), "{printed}");
    Ok(())
}

async fn it_serves_until_a_signal(postgres: &'static Postgres, kafka: &'static Kafka) -> anyhow::Result<()> {
    let database = postgres.create_database("counseling")?;
    let free = TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string();
    let mut running = Running(
        program()
            .args(["--listen", &free, "--kafka", kafka.bootstrap()])
            .env("HEARLERS_DATABASE", database.url())
            .env("HEARLERS_INTERNAL_SECRET", "a secret for tests, 32 bytes long")
            .spawn()?,
    );
    let visit = async {
        loop {
            match CounselorServiceClient::connect(format!("http://{free}")).await {
                Ok(mut counselors) => break counselors.find_counselors(FindCounselorsRequest::default()).await,
                Err(_) => sleep(Duration::from_millis(50)).await,
            }
        }
    };
    assert_eq!(timeout(PATIENCE, visit).await??.into_inner().counselors.len(), 3);

    // The operator command works beside the running service, on the same database.
    let mut parked = program();
    parked.args(["--kafka", kafka.bootstrap()]).env("HEARLERS_DATABASE", database.url()).stdout(Stdio::piped());
    let parked = parked.env("HEARLERS_INTERNAL_SECRET", "a secret for tests, 32 bytes long").args(["parked", "list"]);
    let output = parked.output()?;
    assert_eq!((output.status.code(), String::from_utf8(output.stdout)?.trim()), (Some(0), "[]"));

    Command::new("kill").arg(running.0.id().to_string()).status()?;
    let ended = timeout(PATIENCE, async {
        loop {
            match running.0.try_wait() {
                Ok(None) => sleep(Duration::from_millis(50)).await,
                ended => break ended,
            }
        }
    });
    assert_eq!(
        ended.await??.and_then(|status| status.code()),
        Some(0),
        "a shutdown signal ends the program with status 0"
    );
    Ok(())
}

/// A child process that is killed when the test ends.
struct Running(Child);
impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
