//! Hearlers in one process: every service with its own SQLite file, the in-process transport between them, nothing to install.
mod secret;
mod welcome;

use anyhow::{Context, Error, Result};
use clap::Parser;
use counseling_service::{OfflineResponder, OpenAiConfig, OpenAiResponder, Responder};
use cqrs_core::{
    App, Secret,
    app::DRAIN,
    operations::{self, Program},
    storage::Sqlite,
    transport::InProcess,
};
use std::{fs::DirBuilder, net::SocketAddr, os::unix::fs::DirBuilderExt, path::PathBuf, process::ExitCode, sync::Arc};
use tokio::{
    net::TcpListener,
    sync::watch,
    time::{Instant, timeout_at},
};
use tonic::service::RoutesBuilder;
use trust::{Key, Proof, limits, operators::Operators, secrets};

/// Every Hearlers service in one process, on SQLite files.
#[derive(Parser)]
#[command(name = "hearlers", version)]
struct Config {
    /// Where the REST API and the page are. Port 0 takes a free one.
    #[arg(long, env = "HEARLERS_LISTEN", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// Where all gRPC services are. Port 0 takes a free one.
    #[arg(long, env = "HEARLERS_GRPC", default_value = "127.0.0.1:50051")]
    grpc: SocketAddr,
    /// Where health and metrics can be asked for over HTTP. Nowhere unless given.
    #[arg(long, env = "HEARLERS_OPERATIONS", value_name = "ADDRESS")]
    operations: Option<SocketAddr>,
    /// What an operator shows there, who looks into what got stuck: at least 32 bytes. Without, nobody can.
    #[arg(long, env = "HEARLERS_OPERATOR_SECRET", hide_env_values = true, value_name = "SECRET")]
    operator_secret: Option<String>,
    /// Where the data lies.
    #[arg(long, env = "HEARLERS_DATA", default_value = "data")]
    data: PathBuf,
    /// A language model's API as OpenAI has it, ending in /v1. Without, replies are composed offline.
    #[arg(long, env = "HEARLERS_RESPONDER_URL", hide_env_values = true, value_name = "URL")]
    responder_url: Option<String>,
    /// The key to that API.
    #[arg(long, env = "HEARLERS_RESPONDER_KEY", hide_env_values = true, value_name = "SECRET")]
    responder_key: Option<String>,
    /// Which of its models.
    #[arg(long, env = "HEARLERS_RESPONDER_MODEL", value_name = "NAME")]
    responder_model: Option<String>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let config = Config::parse();
    match run(config).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(config: Config) -> Result<()> {
    let program = Program::start("hearlers", "warn");
    // Ports first: a taken one is told before anything is touched.
    let rest = bind(config.listen, "--listen").await?;
    let grpc = bind(config.grpc, "--grpc").await?;
    // What people told a counsellor is for nobody else on this machine.
    let mut folder = DirBuilder::new();
    folder
        .recursive(true)
        .mode(0o700)
        .create(&config.data)
        .with_context(|| format!("--data {}", config.data.display()))?;
    let session_key = secret::session(&config.data)?;
    let proof = Proof::signed(secret::internal(&config.data)?);
    let operators = operators(config.operator_secret.as_deref())?;
    let responder = responder(&config)?;

    let transport = InProcess::new();
    let file = |name: &str| config.data.join(format!("{name}.db"));
    let users = App::new("user").storage(Sqlite::open(file("user")).await?).transport(transport.clone());
    let users = user_service::wire(users).build()?;
    let counseling = App::new("counseling").storage(Sqlite::open(file("counseling")).await?).transport(transport);
    let counseling = counseling_service::wire(counseling, responder).build()?;

    let program = program.watch(users.clone()).watch(counseling.clone());
    let program = program.operated([users.clone(), counseling.clone()], operators.asked());
    program.listen(config.operations).await.map_err(Error::from_boxed)?;

    // All join before any starts, so that every relay knows who listens.
    let (joined_users, joined_counseling) = (users.join().await?, counseling.join().await?);
    let background = [joined_users.start(), joined_counseling.start()];
    counseling_service::seed(&counseling).await.map_err(Error::from_boxed)?;

    let mut routes = RoutesBuilder::default();
    user_service::grpc(&users, &proof, &mut routes);
    counseling_service::grpc(&counseling, &proof, &mut routes);
    let names = [&user_service::SERVICES[..], &counseling_service::SERVICES[..]].concat();
    routes.add_service(program.health(&names));
    let (stop_rest, rest_stopped) = watch::channel(false);
    let (stop_grpc, grpc_stopped) = watch::channel(false);
    let grpc_at = grpc.local_addr()?;
    let services = limits::limited(operations::server(), None)?
        .add_routes(routes.routes())
        .serve_with_incoming_shutdown(operations::grpc_incoming(grpc), told(grpc_stopped));
    let upstream = format!("http://{}", reachable(grpc_at));
    let rest_at = rest.local_addr()?;
    let gateway = gateway::Config::new(upstream.clone(), upstream, session_key, proof);
    let gateway = gateway::serve(rest, gateway::Gateway::new(gateway)?, told(rest_stopped));

    program.serves();
    println!("{}", welcome::text(rest_at, grpc_at, &config.data));
    let (mut services, mut gateway) = (tokio::spawn(services), tokio::spawn(gateway));
    tokio::select! {
        () = program.asked_to_end() => (),
        ended = &mut services => ended?.context("gRPC")?,
        ended = &mut gateway => ended?.context("REST")?,
    }
    // One deadline for all of it. The gateway asks the services until it has answered, so they go on longer; and whatever they take,
    // the jobs have a moment to give back what they hold.
    let end = Instant::now() + DRAIN;
    stop_rest.send_replace(true);
    let _ = timeout_at(end - DRAIN / 5 * 2, gateway).await;
    stop_grpc.send_replace(true);
    let _ = timeout_at(end - DRAIN / 5, services).await;
    let left = end.saturating_duration_since(Instant::now());
    let [users, counseling] = background;
    tokio::join!(users.stop(left), counseling.stop(left));
    Ok(())
}

fn operators(secret: Option<&str>) -> Result<Operators> {
    let Some(secret) = secrets::given(secret) else { return Ok(Operators::new(None)) };
    let key = Key::new(secret).with_context(|| format!("--operator-secret: at least {} bytes", Key::SHORTEST))?;
    Ok(Operators::new(Some(key)))
}

fn responder(config: &Config) -> Result<Arc<dyn Responder>> {
    let Some(url) = &config.responder_url else { return Ok(Arc::new(OfflineResponder)) };
    let mut model = OpenAiConfig { key: config.responder_key.as_deref().map(Secret::new), ..OpenAiConfig::new(url) };
    if let Some(name) = &config.responder_model {
        model.model.clone_from(name);
    }
    Ok(Arc::new(OpenAiResponder::new(model).context("--responder-url")?))
}

async fn bind(at: SocketAddr, flag: &str) -> Result<TcpListener> {
    TcpListener::bind(at).await.with_context(|| format!("{flag} {at}: cannot listen there; port 0 takes a free one"))
}

/// Where this process reaches what listens at `at`: a listener on every address is reached on loopback.
fn reachable(at: SocketAddr) -> SocketAddr {
    match (at.ip().is_unspecified(), at.is_ipv4()) {
        (true, true) => SocketAddr::from(([127, 0, 0, 1], at.port())),
        (true, false) => SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], at.port())),
        _ => at,
    }
}

async fn told(mut stopped: watch::Receiver<bool>) {
    let _ = stopped.wait_for(|stopped| *stopped).await;
}
