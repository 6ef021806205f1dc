//! End-to-end tests with real processes: the same scenarios embedded and deployed, and once in a browser.
mod browser; // a user on the page
mod canary; // secrets are never written
mod crash; // kill -9 and SIGTERM during sends
mod early; // a service starts before its database
mod fault_suite; // the checker, the command line, and one fault and one seeded bug on real servers
mod flows; // F1 to F8, embedded, and deployed while the services are killed
mod operator_api; // health and metrics
mod parked; // an unreadable record and an operator
mod query_side; // query servers on one Redis, without the service, and killed
mod rebuild; // a view is rebuilt under load
mod roles; // the databases' roles of `examples/deploy`
mod scenario; // from the first visit to the wallet
mod traces; // one trace from HTTP to the last command
mod wallet; // the hold of a token, between the real services

use crash::End;
use end_to_end::Deployment;
use std::{process::ExitCode, time::Duration};
use test_support::{Authority, Browser, Kafka, Postgres, Trials};

/// The time limit of each test. Each system has a broker of its own; two systems on one broker would share their
/// consumer groups.
const LIMIT: Duration = Duration::from_secs(300);

fn main() -> ExitCode {
    Trials::new()
        .test("embedded: a user's scenario succeeds from the first visit to the wallet", async || {
            scenario::succeeds(&Deployment::embedded().await?).await
        })
        .within(LIMIT)
        .test("embedded: no message is lost when the process is killed during sends", async || {
            crash::loses_nothing(&mut Deployment::embedded().await?, "hearlers", End::Killed).await
        })
        .within(LIMIT)
        .test("embedded: the process ends on SIGTERM within ten seconds and restarts with its data", async || {
            crash::ends_on_sigterm(&mut Deployment::embedded().await?).await
        })
        .within(LIMIT)
        .test("embedded: no message is lost when the process is terminated during sends", async || {
            crash::loses_nothing(&mut Deployment::embedded().await?, "hearlers", End::Terminated).await
        })
        .within(LIMIT)
        .test("embedded: health and metrics are served", async || {
            operator_api::serves_health_and_metrics(&mut Deployment::embedded().await?, &["hearlers"]).await
        })
        .within(LIMIT)
        .test(
            "trace: one trace leads from the HTTP request to the last command",
            traces::one_from_http_to_the_last_command,
        )
        .within(LIMIT)
        .test(
            "deployed: no message is lost when a process is terminated during sends, and health and metrics are served",
            async |postgres: &'static Postgres, kafka: Kafka| {
                let mut system = Deployment::processes(postgres, &kafka).await?;
                for victim in ["user-service", "counseling-service", "gateway"] {
                    crash::loses_nothing(&mut system, victim, End::Terminated).await?;
                }
                operator_api::serves_health_and_metrics(&mut system, &["user-service", "counseling-service", "gateway"])
                    .await
            },
        )
        .within(LIMIT)
        .test(
            "deployed: a user's scenario succeeds from the first visit to the wallet",
            async |postgres: &'static Postgres, kafka: Kafka| {
                scenario::succeeds(&Deployment::processes(postgres, &kafka).await?).await
            },
        )
        .within(LIMIT)
        .test(
            "deployed: a user's scenario succeeds when certificates identify the callers",
            async |postgres: &'static Postgres, kafka: Kafka| {
                let authority = Authority::new()?;
                scenario::succeeds(&Deployment::certified(postgres, &kafka, &authority).await?).await
            },
        )
        .within(LIMIT)
        .test("wallet: a message consumes the token that is held for it, and a refused one releases it", wallet::holds)
        .within(LIMIT)
        .test("wallet: a client of the original needs no ids", wallet::of_the_original)
        .within(LIMIT)
        .test(
            "parked: an operator lists, redelivers and discards an unreadable record",
            parked::is_listed_and_discarded,
        )
        .within(LIMIT)
        .test("rebuild: a view is rebuilt over the operator API while users send messages", rebuild::over_http)
        .within(LIMIT)
        .test(
            "rebuild: a view is rebuilt from the command line while users send messages, also after a kill",
            async |postgres: &'static Postgres, kafka: Kafka| {
                rebuild::by_command(&Deployment::processes(postgres, &kafka).await?).await
            },
        )
        .within(LIMIT)
        .test(
            "query side: reads are answered while the counseling service is down, and commands are refused",
            query_side::answers_without_the_service,
        )
        .within(LIMIT)
        .test(
            "query side: nothing is lost or doubled when two query servers on one Redis are killed during sends",
            query_side::loses_nothing,
        )
        .within(LIMIT)
        .test(
            "query side: reads go on while Redis is killed, and one that starts empty is filled again",
            query_side::fills_redis_again,
        )
        .within(LIMIT)
        .test("secrets: no program writes a secret at work", canary::no_secret_is_written_at_work)
        .within(LIMIT)
        .test(
            "secrets: no program writes a secret with --help or invalid settings",
            canary::no_secret_is_written_at_start,
        )
        .within(LIMIT)
        .test(
            "deployed: the role with which a service runs cannot change the log's entries or the schema",
            roles::a_service_cannot_change_its_audit,
        )
        .within(LIMIT)
        .test("deployed: a service that starts before its database serves once it is there", early::waits)
        .within(LIMIT)
        .test(
            "deployed: no message is lost when the user service is killed during sends",
            async |postgres: &'static Postgres, kafka: Kafka| {
                crash::loses_nothing(&mut Deployment::processes(postgres, &kafka).await?, "user-service", End::Killed)
                    .await
            },
        )
        .within(LIMIT)
        .test(
            "deployed: no message is lost when the counseling service is killed during sends",
            async |postgres: &'static Postgres, kafka: Kafka| {
                crash::loses_nothing(
                    &mut Deployment::processes(postgres, &kafka).await?,
                    "counseling-service",
                    End::Killed,
                )
                .await
            },
        )
        .within(LIMIT)
        .test("browser: a user chats on the page", async |browser: Browser| {
            browser::user_chats(&Deployment::embedded().await?, &browser).await
        })
        .within(LIMIT)
        .group("flows", flows::trials())
        .group("fault suite", fault_suite::trials())
        .run()
}
