//! Tests of the program with a real database and broker.
use contracts::v1::service::{FindCounselorsRequest, counselor_service_client::CounselorServiceClient};
use service_auth::COUNSELING_SERVICE;
use service_edge::testing::{ProgramUnderTest, Signed};
use test_support::{Kafka, Postgres, Trials};

const PROGRAM: ProgramUnderTest = ProgramUnderTest(env!("CARGO_BIN_EXE_counseling-service"));

pub(crate) fn trials() -> Trials {
    Trials::new()
        .test("all invalid settings are reported at once", invalid_settings_are_reported)
        .test("it serves until it receives a signal", it_serves_until_a_signal)
}

async fn invalid_settings_are_reported() -> anyhow::Result<()> {
    let variables = [
        ("HEARLERS_DATABASE", "kim:hunter2@host"),
        ("HEARLERS_RESPONDER_URL", "llm"),
        ("HEARLERS_RESPONDER_KEY", "sk-1"),
        ("HEARLERS_RESPONDER_DAILY_CALLS", "-1"),
    ];
    let names = [
        "HEARLERS_DATABASE",
        "HEARLERS_KAFKA",
        "HEARLERS_RESPONDER_URL",
        "HEARLERS_RESPONDER_DAILY_CALLS",
        "HEARLERS_CALLER_KEYS",
    ];
    PROGRAM.refuses(&variables, &names, &["hunter2", "sk-1"])
}

async fn it_serves_until_a_signal(postgres: &'static Postgres, kafka: &'static Kafka) -> anyhow::Result<()> {
    let visit = async |gateway: Signed| {
        let find = FindCounselorsRequest::default();
        let found = CounselorServiceClient::new(gateway).find_counselors(find).await?.into_inner();
        anyhow::ensure!(found.counselors.len() == 3, "{found:?}");
        Ok(())
    };
    PROGRAM.serves_until_a_signal((postgres, kafka), COUNSELING_SERVICE, visit).await
}
