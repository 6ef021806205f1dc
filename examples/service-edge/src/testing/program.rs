//! Tests of a service's program with a real database and broker.
use super::{Signed, call_key, proof};
use anyhow::{Context, ensure};
use service_auth::{CallKey, CallSigner, GATEWAY, Proof};
use std::{
    net::TcpListener,
    process::{Child, Command, Stdio},
    time::Duration,
};
use test_support::{Kafka, Postgres, Redis};
use tokio::time::{sleep, timeout};
use tonic::{service::interceptor::InterceptedService, transport::Endpoint};

const PATIENCE: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(50);

/// The program of a service, by its path: `env!("CARGO_BIN_EXE_user-service")`.
#[derive(Debug, Clone, Copy)]
pub struct ProgramUnderTest(pub &'static str);
impl ProgramUnderTest {
    fn command(self) -> Command {
        let mut command = Command::new(self.0);
        command.env_clear().stdout(Stdio::null());
        command
    }
    /// Checks that the program refuses these variables at once: it prints all `names` and none of the `secrets`.
    ///
    /// # Errors
    /// Fails when it does not.
    pub fn refuses(self, variables: &[(&str, &str)], names: &[&str], secrets: &[&str]) -> anyhow::Result<()> {
        self.refuses_output(self.command().envs(variables.iter().copied()), names, secrets)
    }
    /// Checks the same for a task of the program.
    ///
    /// # Errors
    /// Fails when it does not.
    pub fn refuses_task(
        self,
        task: &str,
        variables: &[(&str, &str)],
        names: &[&str],
        secrets: &[&str],
    ) -> anyhow::Result<()> {
        self.refuses_output(self.command().arg(task).envs(variables.iter().copied()), names, secrets)
    }
    fn refuses_output(self, command: &mut Command, names: &[&str], secrets: &[&str]) -> anyhow::Result<()> {
        let ended = command.output()?;
        let printed = String::from_utf8(ended.stderr)?;
        ensure!(ended.status.code() == Some(2), "{:?}: {printed}", ended.status);
        ensure!(names.iter().all(|name| printed.contains(name)), "not all of {names:?} in {printed}");
        ensure!(!secrets.iter().any(|secret| printed.contains(secret)), "a secret in {printed}");
        Ok(())
    }
    /// Checks that the program serves calls until a signal ends it, and that the operator command works beside it.
    /// `service` is its name; `visit` makes a call as the gateway. Without a signature the same call must be refused, so `visit`
    /// runs twice and must fail once.
    ///
    /// # Errors
    /// Fails when it does not.
    pub async fn serves_until_a_signal(
        self,
        (postgres, kafka): (&'static Postgres, &'static Kafka),
        service: &'static str,
        visit: impl AsyncFn(Signed) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let database = postgres.create_database("program")?;
        let free = TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string();
        let callers = format!("{GATEWAY}={}", call_key().public());
        let configured = || {
            let mut command = self.command();
            command.env("HEARLERS_DATABASE", database.url()).env("HEARLERS_CALLER_KEYS", &callers);
            command.args(["--kafka", kafka.bootstrap()]);
            command
        };
        let mut running = Running(configured().args(["--listen", &free]).spawn()?);
        let endpoint = Endpoint::from_shared(format!("http://{free}"))?;
        let connected = async {
            loop {
                match endpoint.connect().await {
                    Ok(channel) => break channel,
                    Err(_) => sleep(POLL).await,
                }
            }
        };
        let channel = timeout(PATIENCE, connected).await?;
        let as_caller =
            |proof: &Proof| InterceptedService::new(channel.clone(), CallSigner::new(GATEWAY, service, proof));
        visit(as_caller(&proof())).await?;
        let stranger = Proof::signed(CallKey::generate().context("no random numbers")?);
        ensure!(visit(as_caller(&stranger)).await.is_err(), "a call of a stranger is served");

        let parked = configured().args(["parked", "list"]).stdout(Stdio::piped()).output()?;
        let printed = String::from_utf8(parked.stdout)?;
        ensure!((parked.status.code(), printed.trim()) == (Some(0), "[]"), "{:?}: {printed}", parked.status);

        Command::new("kill").arg(running.0.id().to_string()).status()?;
        let ended = timeout(PATIENCE, async {
            loop {
                match running.0.try_wait() {
                    Ok(None) => sleep(POLL).await,
                    ended => break ended,
                }
            }
        });
        let code = ended.await??.and_then(|status| status.code());
        ensure!(code == Some(0), "a shutdown signal ends the program with status 0, not {code:?}");
        Ok(())
    }
}

impl ProgramUnderTest {
    /// Checks that the program's task `query` answers from Redis: while the database runs, while it is stopped, and in a process that
    /// starts meanwhile. `visit` makes a call as the gateway and fails for a wrong answer; a process that is not filled yet may refuse it.
    ///
    /// # Errors
    /// Fails when it does not.
    pub async fn serves_queries(
        self,
        (postgres, url): (&Postgres, &str),
        redis: &Redis,
        service: &'static str,
        visit: impl AsyncFn(Signed) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let callers = format!("{GATEWAY}={}", call_key().public());
        let start = || {
            let free = TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string();
            let mut command = self.command();
            command
                .env("HEARLERS_DATABASE", url)
                .env("HEARLERS_CALLER_KEYS", &callers)
                .env("HEARLERS_VIEWS", redis.url());
            anyhow::Ok((Running(command.args(["--listen", &free, "query"]).spawn()?), free))
        };
        let answers = async |address: &str| {
            let endpoint = Endpoint::from_shared(format!("http://{address}"))?;
            let answered = async {
                loop {
                    if let Ok(channel) = endpoint.connect().await {
                        let signed = InterceptedService::new(channel, CallSigner::new(GATEWAY, service, &proof()));
                        match visit(signed).await {
                            Ok(()) => break,
                            Err(error) => tracing::info!(error = format!("{error:#}"), "not answered yet"),
                        }
                    }
                    sleep(POLL).await;
                }
            };
            timeout(PATIENCE, answered).await.context("the query side does not answer")
        };
        let (mut first, address) = start()?;
        answers(&address).await?;
        postgres.stop_immediate()?;
        for _ in 0..10 {
            answers(&address).await?;
            sleep(POLL).await;
        }
        let (_second, other) = start()?;
        answers(&other).await.context("a process that was started while the database is stopped")?;
        // The memory of a Redis that starts again is lost, and only the log can fill it.
        redis.kill()?;
        redis.start_again()?;
        postgres.start_again()?;
        answers(&address).await?;
        answers(&other).await?;
        Command::new("kill").arg(first.0.id().to_string()).status()?;
        let ended = timeout(PATIENCE, async {
            loop {
                match first.0.try_wait() {
                    Ok(None) => sleep(POLL).await,
                    ended => break ended,
                }
            }
        });
        let code = ended.await??.and_then(|status| status.code());
        ensure!(code == Some(0), "a shutdown signal ends the program with status 0, not {code:?}");
        Ok(())
    }
}

/// A child process that is killed when the test ends.
struct Running(Child);
impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
