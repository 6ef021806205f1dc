//! The fixture of the flows: the system, the external servers, and the kills.
use anyhow::{Context, Result, ensure};
use end_to_end::{Deployment, Variables, Visitor};
use futures_util::try_join;
use serde_json::Value;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use test_support::{Kafka, LanguageModel, LoginProvider, Postgres};
use tokio::sync::Mutex;

pub(crate) const USERS: &str = "user-service";
pub(crate) const COUNSELING: &str = "counseling-service";
pub(crate) const GATEWAY: &str = "gateway";

/// The account of the administrator with Kakao.
const ADMINISTRATOR: &str = "9000";
/// The longest time of an event that a flow waits for.
const PATIENCE: Duration = Duration::from_secs(60);
/// The longest time between the beginning of a request and the kill. Most requests take this long at most.
const LATEST_KILL: Duration = Duration::from_millis(40);

/// A running system and the servers that it calls.
pub(crate) struct Fixture {
    pub(crate) base: String,
    pub(crate) kakao: LoginProvider,
    pub(crate) naver: LoginProvider,
    pub(crate) model: LanguageModel,
    /// A browser in which an administrator is logged in.
    pub(crate) administrator: Visitor,
    /// The id of a counsellor.
    pub(crate) counselor: String,
    /// The id of one of the counsellor's bubbles.
    pub(crate) bubble: String,
    system: Mutex<Deployment>,
    /// False when the services are one process, which is not killed.
    kills: bool,
    _images: TempDir,
}

/// The external servers, and the variables that make the services use them.
struct External {
    kakao: LoginProvider,
    naver: LoginProvider,
    model: LanguageModel,
    images: TempDir,
    variables: Variables,
}
impl External {
    async fn start() -> Result<External> {
        let (kakao, naver) = (LoginProvider::kakao().await?, LoginProvider::naver().await?);
        let (model, images) = (LanguageModel::start().await?, tempfile::tempdir()?);
        let (client, secret) = (LoginProvider::CLIENT.to_owned(), LoginProvider::SECRET.to_owned());
        let url = |provider: &LoginProvider| provider.url().to_string();
        let variables = vec![
            ("HEARLERS_KAKAO_CLIENT", client.clone()),
            ("HEARLERS_KAKAO_SECRET", secret.clone()),
            ("HEARLERS_KAKAO_LOGIN_URL", url(&kakao)),
            ("HEARLERS_KAKAO_API_URL", url(&kakao)),
            ("HEARLERS_NAVER_CLIENT", client),
            ("HEARLERS_NAVER_SECRET", secret),
            ("HEARLERS_NAVER_LOGIN_URL", url(&naver)),
            ("HEARLERS_NAVER_API_URL", url(&naver)),
            ("HEARLERS_ADMIN_ACCOUNTS", format!("{}:{ADMINISTRATOR}", kakao.name())),
            ("HEARLERS_RESPONDER_URL", model.url().to_owned()),
            ("HEARLERS_IMAGES_DIR", images.path().display().to_string()),
            ("HEARLERS_IMAGES_SECRET", "a secret of uploads, 32 bytes long".to_owned()),
        ];
        Ok(External { kakao, naver, model, images, variables })
    }
}

impl Fixture {
    /// Starts all services in one process.
    pub(crate) async fn embedded() -> Result<Fixture> {
        let external = External::start().await?;
        let system = Deployment::embedded_with(external.variables.clone()).await?;
        Fixture::new(external, system, false).await
    }
    /// Starts each service as a process of its own.
    pub(crate) async fn deployed(postgres: &Postgres, kafka: &Kafka) -> Result<Fixture> {
        let external = External::start().await?;
        let system = Deployment::processes_with(postgres, kafka, external.variables.clone()).await?;
        Fixture::new(external, system, true).await
    }
    async fn new(external: External, system: Deployment, kills: bool) -> Result<Fixture> {
        let External { kakao, naver, model, images, .. } = external;
        let base = system.base().to_owned();
        let administrator = Visitor::new(&base)?;
        administrator.log_in(&kakao, ADMINISTRATOR).await.context("the administrator cannot log in")?;
        let counselors = administrator.get("/v1/counselors").await?;
        let counselor = text(&counselors["counselors"][0]["id"])?;
        let bubble = administrator.get(&format!("/v1/counselors/{counselor}/bubbles/random")).await?;
        let bubble = text(&bubble["bubble"]["id"])?;
        let system = Mutex::new(system);
        Ok(Fixture { base, kakao, naver, model, administrator, counselor, bubble, system, kills, _images: images })
    }
    /// Starts a session of a new person who has given all consents.
    pub(crate) async fn person(&self) -> Result<Visitor> {
        let visitor = Visitor::visit(&self.base).await?;
        visitor.consent().await?;
        Ok(visitor)
    }
    /// Returns the path of the counsels with the counsellor.
    pub(crate) fn counsels(&self) -> String {
        format!("/v1/counselors/{}/counsels", self.counselor)
    }
    /// Opens a counsel with a greeting and returns its path.
    pub(crate) async fn open_counsel(&self, visitor: &Visitor, key: &str) -> Result<String> {
        let opened = visitor.post(&self.counsels(), serde_json::json!({}), key).await?;
        Ok(format!("{}/{}", self.counsels(), text(&opened["counsel"]["id"])?))
    }

    /// Sends a request and kills a service at a random moment of it. The service is started again, and the visitor sends the
    /// request again until it succeeds. One service is killed at a time.
    pub(crate) async fn during_kill<T>(
        &self,
        service: &'static str,
        request: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        if !self.kills {
            return request.await;
        }
        let mut system = self.system.lock().await;
        let kill = async move {
            let latest = LATEST_KILL.as_micros().try_into()?;
            tokio::time::sleep(Duration::from_micros(fastrand::u64(0..latest))).await;
            system.kill(service).await?;
            system.start_again(service).await
        };
        Ok(try_join!(request, kill)?.0)
    }
    /// Sends a request, which an external server holds, and kills a service that waits for that server.
    pub(crate) async fn kill_while_held<T>(
        &self,
        service: &'static str,
        is_held: impl Fn() -> bool,
        release: impl FnOnce(),
        request: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let mut system = self.system.lock().await;
        let kill = async move {
            until("the request is not held", is_held).await?;
            if self.kills {
                system.kill(service).await?;
            }
            release();
            if self.kills { system.start_again(service).await } else { Ok(()) }
        };
        Ok(try_join!(request, kill)?.0)
    }

    /// Returns the URL of a service's database, if it is one on PostgreSQL.
    pub(crate) async fn database(&self, service: &str) -> Result<String> {
        let system = self.system.lock().await;
        Ok(system.database(service).with_context(|| format!("{service} has no database"))?.to_owned())
    }
    /// Returns the warnings and errors that the processes have logged.
    pub(crate) async fn warnings(&self) -> String {
        let system = self.system.lock().await;
        let services = [USERS, COUNSELING, GATEWAY];
        let warnings = services.map(|service| {
            let log = system.log(service).unwrap_or_default();
            let lines = log.lines().filter(|line| line.contains("WARN") || line.contains("ERROR"));
            lines.map(|line| format!("{service}: {line}\n")).collect::<String>()
        });
        warnings.concat()
    }
}

/// Waits until a condition holds.
pub(crate) async fn until(failure: &str, holds: impl Fn() -> bool) -> Result<()> {
    let began = Instant::now();
    while !holds() {
        ensure!(began.elapsed() < PATIENCE, "{failure} after {PATIENCE:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok(())
}
/// Reads a value until it is as expected.
pub(crate) async fn eventually<T: std::fmt::Debug>(
    read: impl AsyncFn() -> Result<T>,
    is_expected: impl Fn(&T) -> bool,
) -> Result<T> {
    let began = Instant::now();
    loop {
        let value = read().await?;
        if is_expected(&value) {
            return Ok(value);
        }
        ensure!(began.elapsed() < PATIENCE, "not as expected after {PATIENCE:?}: {value:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
/// Reads a text of an answer.
pub(crate) fn text(value: &Value) -> Result<String> {
    Ok(value.as_str().with_context(|| format!("not a text: {value}"))?.to_owned())
}
