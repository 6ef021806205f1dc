//! Tests of the program's own tasks: an operator promotes and demotes a person, and the log names the operator.
use crate::fixture::Fixture;
use clap::Parser;
use contracts::v1::model::Authority;
use cqrs_core::{AppBuilder, Change, HandlerResult, Infallible, Query, Recorded, View, Views, handler, projection};
use serde::{Deserialize, Serialize};
use service_edge::settings::RunTask;
use user_service::{
    config::UserTask,
    domain::auth_user::{AuthUserEvent, AuthUserId},
};
use uuid::Uuid;

service_edge::cases![an_operator_promotes_and_demotes, an_unknown_person_is_refused];

/// Registers a view of the service's events that shows who caused them.
pub(crate) fn wire(app: AppBuilder) -> AppBuilder {
    user_service::wire(app).discover_part(module_path!())
}

#[derive(Debug, Clone, Serialize, Deserialize, View)]
#[view(name = "audit", key = AuthUserId)]
struct Audit {
    callers: Vec<Option<String>>,
}
#[projection(name = "audit")]
fn audit(event: &Recorded<AuthUserEvent>) -> Change<Audit> {
    let (id, caller) = (event.aggregate_id, event.metadata.caller.clone());
    Change::none().and(id, |found: Option<Audit>| {
        let mut audit = found.unwrap_or(Audit { callers: vec![] });
        audit.callers.push(caller);
        Some(audit)
    })
}
#[derive(Debug, Clone, Query)]
struct FindAudit {
    id: AuthUserId,
}
#[handler]
async fn find_audit(query: FindAudit, audits: Views<Audit>) -> HandlerResult<Audit, Infallible> {
    audits.get(&query.id).await
}

#[derive(Parser)]
struct CommandLine {
    #[command(subcommand)]
    task: UserTask,
}
async fn run(fixture: &Fixture, arguments: &[&str]) -> anyhow::Result<()> {
    let line = CommandLine::try_parse_from([&["user-service"], arguments].concat())?;
    line.task.run(&fixture.app).await.map(drop).map_err(|error| anyhow::anyhow!("{error}"))
}

async fn an_operator_promotes_and_demotes(mut fixture: Fixture) -> anyhow::Result<()> {
    let kim = fixture.visitor().await?;
    run(&fixture, &["promote", &kim, "--by", "park"]).await?;
    assert_eq!(fixture.auth_user(&kim).await?.authority(), Authority::Admin);
    assert_eq!(fixture.wallet(&kim).await?.max_tokens, 999_999_999);
    run(&fixture, &["demote", &kim, "--by", "choi"]).await?;
    assert_eq!(fixture.auth_user(&kim).await?.authority(), Authority::User);
    assert_eq!(fixture.remaining(&kim).await?, 7);
    let audit = fixture.app.send(FindAudit { id: kim.parse()? }).await?;
    assert_eq!(audit.callers, [None, Some("park".into()), Some("choi".into())]);
    Ok(())
}

async fn an_unknown_person_is_refused(fixture: Fixture) -> anyhow::Result<()> {
    let unknown = Uuid::now_v7().to_string();
    let error = run(&fixture, &["promote", &unknown, "--by", "park"]).await.unwrap_err();
    assert!(error.to_string().contains("not found"), "{error}");
    for arguments in [&["promote"][..], &["promote", "kim", "--by", "park"], &["demote"]] {
        assert!(CommandLine::try_parse_from([&["user-service"], arguments].concat()).is_err(), "{arguments:?}");
    }
    Ok(())
}
