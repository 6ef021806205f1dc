//! Tests of the program with a real database and broker.
use contracts::v1::service::{InitializeUserRequest, user_service_client::UserServiceClient};
use service_auth::USER_SERVICE;
use service_edge::testing::{ProgramUnderTest, Signed};
use test_support::{Kafka, Postgres, Trials};

const PROGRAM: ProgramUnderTest = ProgramUnderTest(env!("CARGO_BIN_EXE_user-service"));

pub(crate) fn trials() -> Trials {
    Trials::new()
        .test("all invalid settings are reported at once", invalid_settings_are_reported)
        .test("it serves until it receives a signal", it_serves_until_a_signal)
}

async fn invalid_settings_are_reported() -> anyhow::Result<()> {
    let names = ["HEARLERS_DATABASE", "HEARLERS_KAFKA", "HEARLERS_CALLER_KEYS"];
    PROGRAM.refuses(&[("HEARLERS_DATABASE", "kim:hunter2@host")], &names, &["hunter2"])
}

async fn it_serves_until_a_signal(postgres: &'static Postgres, kafka: &'static Kafka) -> anyhow::Result<()> {
    let visit = async |gateway: Signed| {
        let visited = UserServiceClient::new(gateway).initialize_user(InitializeUserRequest {}).await?.into_inner();
        anyhow::ensure!(visited.user.is_some(), "no person was registered");
        Ok(())
    };
    PROGRAM.serves_until_a_signal((postgres, kafka), USER_SERVICE, visit).await
}
