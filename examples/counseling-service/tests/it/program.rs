//! Tests of the program with a real database and broker.
use crate::fixture::{Fixture, KIM};
use contracts::v1::service::{
    CreateCounselRequest, FindCounselorsRequest, FindCounselsRequest, FindMessagesRequest,
    counsel_service_client::CounselServiceClient, counselor_service_client::CounselorServiceClient,
};
use service_auth::COUNSELING_SERVICE;
use service_edge::testing::{Fixture as _, ProgramUnderTest, Signed, TestDatabase, by};
use test_support::{Kafka, Postgres, Redis, Trials};
use uuid::Uuid;

const PROGRAM: ProgramUnderTest = ProgramUnderTest(env!("CARGO_BIN_EXE_counseling-service"));

pub(crate) fn trials() -> Trials {
    Trials::new()
        .test("all invalid settings are reported at once", invalid_settings_are_reported)
        .test("it serves until it receives a signal", it_serves_until_a_signal)
        .test("the query side answers from Redis while the database is stopped", it_serves_queries)
        .test("the query side refuses a command, and the settings of its store are checked", it_refuses_commands)
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

/// The counsels and messages of a person are read from Redis, as the gateway does it.
async fn it_serves_queries(postgres: Postgres, redis: Redis) -> anyhow::Result<()> {
    let database = TestDatabase::postgres(&postgres, "query").await?;
    let TestDatabase::Postgres(_, made) = &database else { anyhow::bail!("another database") };
    let url = made.url().to_owned();
    let service = Fixture::on(database).await?;
    let counsel = service.opened().await?;
    service.send(&counsel, Uuid::from_u128(7), "안녕하세요").await?;
    let messages = service.messages(&counsel).await?;
    anyhow::ensure!(messages.len() == 3, "{messages:?}");
    let visit = async |gateway: Signed| {
        let mut counsels = CounselServiceClient::new(gateway);
        let request = FindCounselsRequest { user_id: KIM.to_string(), ..Default::default() };
        let found = counsels.find_counsels(by(KIM, request)).await?.into_inner().counsels;
        anyhow::ensure!(found.len() == 1 && found[0].id == counsel, "{found:?}");
        let request = FindMessagesRequest { counsel_id: counsel.clone(), ..Default::default() };
        let read = counsels.find_messages(by(KIM, request)).await?.into_inner().counsel_messages;
        anyhow::ensure!(read == messages, "{read:?}");
        Ok(())
    };
    PROGRAM.serves_queries((&postgres, &url), &redis, COUNSELING_SERVICE, visit).await
}

async fn it_refuses_commands(postgres: Postgres, redis: Redis) -> anyhow::Result<()> {
    let database = TestDatabase::postgres(&postgres, "query").await?;
    let TestDatabase::Postgres(_, made) = &database else { anyhow::bail!("another database") };
    let url = made.url().to_owned();
    let service = Fixture::on(database).await?;
    let counselor_id = service.counselor().await?;
    let visit = async |gateway: Signed| {
        let request =
            CreateCounselRequest { user_id: KIM.to_string(), counselor_id: counselor_id.clone(), ..Default::default() };
        let refused = CounselServiceClient::new(gateway).create_counsel(by(KIM, request)).await;
        let code = refused.err().map(|status| status.code());
        anyhow::ensure!(code == Some(tonic::Code::FailedPrecondition), "{code:?}");
        Ok(())
    };
    PROGRAM.serves_queries((&postgres, &url), &redis, COUNSELING_SERVICE, visit).await?;
    let variables = [("HEARLERS_VIEWS", "redis://:hunter2@elsewhere:6379")];
    PROGRAM.refuses_task(
        "query",
        &variables,
        &["HEARLERS_VIEWS", "HEARLERS_VIEWS_ALLOW_PLAINTEXT", "HEARLERS_DATABASE"],
        &["hunter2"],
    )
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
