//! The roles of `examples/deploy`: one migrates, and the service runs with another, which cannot change the log's entries.
use anyhow::{Context, Result, ensure};
use contracts::v1::{
    model::UserProfile,
    service::{
        FindUserByUserIdRequest, FindUserByUserIdResponse, InitializeUserRequest, UpdateUserRequest,
        user_service_client::UserServiceClient,
    },
};
use end_to_end::{Program, free_port};
use service_auth::{CallKey, CallSigner, GATEWAY, Person, Proof, USER_SERVICE};
use sqlx::{AssertSqlSafe, PgPool};
use std::time::{Duration, Instant};
use test_support::Postgres;
use tonic::{Request, transport::Endpoint};

const GRANTS: &str = include_str!("../../../deploy/grants.sql");
/// Without a broker, events stay in the outbox, and everything else works.
const NO_BROKER: &str = "127.0.0.1:1";
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) async fn a_service_cannot_change_its_audit(postgres: &'static Postgres) -> Result<()> {
    let database = postgres.create_database("roles")?;
    let role = |of: &str| format!("{}_{of}", database.name());
    let (migration, service, reader) = (role("migration"), role("service"), role("reader"));
    let admin = PgPool::connect(database.url()).await?;
    for statement in [
        format!("create role \"{migration}\" login"),
        format!("create role \"{service}\" login"),
        format!("create role \"{reader}\" nologin"),
        format!("alter database \"{}\" owner to \"{migration}\"", database.name()),
    ] {
        sqlx::raw_sql(AssertSqlSafe(statement)).execute(&admin).await?;
    }
    let url = |role: &str| database.url().replacen("postgres@", &format!("{role}@"), 1);
    ensure!(url(&service).contains(&service), "{}", database.url());

    let folder = tempfile::tempdir()?;
    let (private, public) = CallKey::generate_text().context("no random numbers")?;
    let callers = format!("gateway={public}");
    let listen = format!("127.0.0.1:{}", free_port()?);
    let run = |role: &str, arguments: &[&str], log: &str| {
        let url = url(role);
        let variables = [
            ("HEARLERS_DATABASE", url.as_str()),
            ("HEARLERS_KAFKA", NO_BROKER),
            ("HEARLERS_CALLER_KEYS", &callers),
            ("HEARLERS_LISTEN", &listen),
        ];
        let arguments: Vec<_> = arguments.iter().map(|&argument| argument.to_owned()).collect();
        Program::start_with("user-service", &arguments, &variables, &folder.path().join(log))
    };
    let log = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap_or_default();
    // Without the migration the service's role can do nothing, and it does not try for ever.
    ensure!(run(&service, &["programs", "list"], "early")?.ends(PATIENCE).await? != Some(0), "{}", log("early"));
    ensure!(
        run(&migration, &["programs", "list"], "migration")?.ends(PATIENCE).await? == Some(0),
        "{}",
        log("migration")
    );
    let owner = PgPool::connect(&url(&migration)).await?;
    let grants = GRANTS.replace(":\"service\"", &format!("\"{service}\""));
    let grants = grants.replace(":\"reader\"", &format!("\"{reader}\""));
    sqlx::raw_sql(AssertSqlSafe(grants)).execute(&owner).await?;

    let mut program = run(&service, &[], "service")?;
    program.listens(&listen).await.with_context(|| log("service"))?;
    works(&listen, &private)
        .await
        .with_context(|| format!("the service has ended: {:?}\n{}", program.has_ended(), log("service")))?;
    program.terminate(Duration::from_secs(10)).await?;

    let as_service = PgPool::connect(&url(&service)).await?;
    let entries: i64 = sqlx::query_scalar("select count(*) from cqrs.log").fetch_one(&as_service).await?;
    ensure!(entries > 0, "the service has stored nothing");
    for statement in [
        "delete from cqrs.log",
        "update cqrs.log set payload = ''",
        "update cqrs.log set metadata = '{}'",
        "truncate cqrs.log",
        "drop table cqrs.log",
        "alter table cqrs.log add column more int",
        "create table cqrs.more (id int)",
        "create schema more",
        "delete from cqrs._cqrs_migrations",
    ] {
        let refused = sqlx::raw_sql(statement).execute(&as_service).await;
        let code =
            refused.as_ref().err().and_then(|error| error.as_database_error()?.code().map(|code| code.into_owned()));
        ensure!(code.as_deref() == Some("42501"), "{statement}: {refused:?}");
    }
    Ok(())
}

/// Registers a person, changes their profile, and reads it, until the projection has it.
async fn works(listen: &str, private: &str) -> Result<()> {
    let channel = Endpoint::from_shared(format!("http://{listen}"))?.connect().await?;
    let proof = Proof::signed(CallKey::parse(private).context("not a key")?);
    let mut users = UserServiceClient::with_interceptor(channel, CallSigner::new(GATEWAY, USER_SERVICE, &proof));
    let user = users.initialize_user(InitializeUserRequest {}).await?.into_inner().user.context("no person")?;
    let person = Person::user(user.id.parse()?);
    let introduction = Some("안녕하세요".to_owned());
    let mut update = Request::new(UpdateUserRequest { user_id: user.id.clone(), introduction, ..Default::default() });
    update.extensions_mut().insert(person);
    users.update_user(update).await?;
    let began = Instant::now();
    loop {
        let mut find = Request::new(FindUserByUserIdRequest { user_id: user.id.clone() });
        find.extensions_mut().insert(person);
        match users.find_user_by_user_id(find).await {
            Ok(found) if profile(found.get_ref()).is_some_and(|profile| profile.introduction == "안녕하세요") => {
                return Ok(());
            }
            other => ensure!(began.elapsed() < PATIENCE, "the projection does not work: {other:?}"),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn profile(found: &FindUserByUserIdResponse) -> Option<&UserProfile> {
    found.user.as_ref()?.user_profile.as_ref()
}
