//! All Hearlers services in one process: a SQLite file for each service, an in-process transport, and nothing to
//! install.
mod folder;
mod secret;
mod welcome;

use anyhow::{Context, Error, Result};
use clap::Parser;
use counseling_service::{
    DAILY_CALLS, DirectoryImages, OfflineResponder, OpenAiConfig, OpenAiResponder, Ports, Responder, Wallets,
};
use cqrs_core::{
    App, Secret,
    app::{DRAIN, ForeignDatabase, IncompatibleProgram},
    net::Listener,
    operations::{self, Program},
    storage::Sqlite,
    transport::InProcess,
};
use gateway::{AdminLink, Edge};
use image_store::{Directory, Images, UploadTokens};
use service_auth::{CallKey, Proof, limits, operators::Operators, secrets, settings};
use std::{
    fs::OpenOptions, net::SocketAddr, os::unix::fs::OpenOptionsExt, path::PathBuf, process::ExitCode, sync::Arc,
    time::Duration,
};
use tokio::{
    sync::watch,
    time::{Instant, timeout_at},
};
use tonic::service::RoutesBuilder;

/// Every Hearlers service in one process, on SQLite files.
#[derive(Parser)]
#[command(name = "hearlers", version)]
struct Config {
    /// Address of the REST API and the page. Port 0 chooses a free port.
    #[arg(long, env = "HEARLERS_LISTEN", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// Address of the gRPC services. Port 0 chooses a free port.
    #[arg(long, env = "HEARLERS_GRPC", default_value = "127.0.0.1:50051")]
    grpc: SocketAddr,
    /// Address of the HTTP endpoints for health and metrics. They are disabled when it is not set.
    #[arg(long, env = "HEARLERS_OPERATIONS", value_name = "ADDRESS")]
    operations: Option<SocketAddr>,
    /// Seconds for which the program still serves after a signal, while it is no longer ready.
    #[arg(long, env = "HEARLERS_SHUTDOWN_PAUSE", default_value_t = 0, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(..=60))]
    shutdown_pause: u64,
    /// Operators, one a line: NAME=SECRET, the operator's name and their bearer secret of at least 32 bytes. The operator
    /// endpoints are disabled when it is not set.
    #[arg(long, env = "HEARLERS_OPERATORS", hide_env_values = true, value_name = "OPERATORS")]
    operators: Option<String>,
    /// Print a one-time link that makes its visitor an administrator. Without this flag it is printed until there is one.
    #[arg(long, env = "HEARLERS_ADMIN")]
    admin: bool,
    #[command(flatten)]
    edge: gateway::EdgeArgs,
    /// Folder of the data files.
    #[arg(long, env = "HEARLERS_DATA", default_value = "data")]
    data: PathBuf,
    /// Folder of the keys that sign sessions. The default is `keys` in the data folder; choose another place when the data
    /// folder is copied elsewhere, for example as a backup.
    #[arg(long, env = "HEARLERS_KEYS", value_name = "FOLDER")]
    keys: Option<PathBuf>,
    /// Base URL of an OpenAI-compatible API, ending in /v1. Without it, replies are composed offline.
    #[arg(long, env = "HEARLERS_RESPONDER_URL", hide_env_values = true, value_name = "URL")]
    responder_url: Option<String>,
    /// API key of the language model.
    #[arg(long, env = "HEARLERS_RESPONDER_KEY", hide_env_values = true, value_name = "SECRET")]
    responder_key: Option<String>,
    /// Name of the language model.
    #[arg(long, env = "HEARLERS_RESPONDER_MODEL", value_name = "NAME")]
    responder_model: Option<String>,
    /// Calls to the language model in a day of Seoul at most. Further messages are refused.
    #[arg(long, env = "HEARLERS_RESPONDER_DAILY_CALLS", default_value_t = DAILY_CALLS, value_name = "CALLS")]
    responder_daily_calls: u32,
}

#[tokio::main]
async fn main() -> ExitCode {
    let config = Config::parse();
    match run(config).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            if error.chain().any(|cause| cause.is::<IncompatibleProgram>() || cause.is::<ForeignDatabase>()) {
                ExitCode::from(2)
            } else {
                ExitCode::FAILURE
            }
        }
    }
}

async fn run(config: Config) -> Result<()> {
    let program = Program::start("hearlers", "warn");
    let edge = settings::all(|wrong| config.edge.check(wrong))?;
    // The ports are bound first, so that a taken port is reported before any file is created.
    let rest = bind(config.listen, "--listen").await?;
    let grpc = bind(config.grpc, "--grpc").await?;
    // Apart from the data, so that a copy of the data is no copy of the keys.
    let keys = config.keys.clone().unwrap_or_else(|| config.data.join("keys"));
    folder::private(&config.data).context("--data")?;
    folder::private(&keys).context("--keys")?;
    let session_key = secret::session(&keys)?;
    // All callers and services are in this process, so the key of their calls needs no file.
    let proof = Proof::signed(CallKey::generate().context("the system has no random numbers")?);
    let operators = operators(config.operators.as_deref())?;
    let responder = responder(&config)?;
    let grpc_at = grpc.local_addr()?;
    let upstream = format!("http://{}", reachable(grpc_at));
    let reservations = Arc::new(Wallets::new(&upstream, &proof)?);
    let pictures = Directory::open(config.data.join("images")).context("the folder of the images")?;
    let upload_tokens = UploadTokens::new(secret::images(&keys)?);
    let served_images = Images::new(pictures.clone(), upload_tokens.clone());
    // A path at the gateway, so that the pictures stay where they are when its address changes.
    let images = Arc::new(DirectoryImages::new(pictures, upload_tokens, "/v1/images".parse()?));
    let ports = Ports { responder, reservations, daily_calls: config.responder_daily_calls, images };

    let transport = InProcess::new();
    let file = |name: &str| config.data.join(format!("{name}.db"));
    let users =
        App::builder(user_service::SERVICE.app).storage(Sqlite::open(file("user")).await?).transport(transport.clone());
    let users = user_service::wire(users).build()?;
    let counseling = App::builder(counseling_service::SERVICE.app)
        .storage(Sqlite::open(file("counseling")).await?)
        .transport(transport);
    let counseling = counseling_service::wire(counseling, ports).build()?;

    let program = program.watch(users.clone()).watch(counseling.clone());
    let program = program.shutdown_pause(Duration::from_secs(config.shutdown_pause));
    let program = program.operator_api([users.clone(), counseling.clone()], operators.authenticator());
    program.listen(config.operations).await.map_err(Error::from_boxed)?;

    // All apps join before any starts, so that every relay knows all subscribers.
    let (joined_users, joined_counseling) = (users.join().await?, counseling.join().await?);
    let background = [joined_users.start(), joined_counseling.start()];
    counseling_service::seed(&counseling).await.map_err(Error::from_boxed)?;

    let mut routes = RoutesBuilder::default();
    (user_service::SERVICE.routes)(&users, &proof, &mut routes);
    (counseling_service::SERVICE.routes)(&counseling, &proof, &mut routes);
    let names = [user_service::SERVICE.grpc, counseling_service::SERVICE.grpc].concat();
    routes.add_service(program.health(&names));
    let (stop_rest, rest_stopped) = watch::channel(false);
    let (stop_grpc, grpc_stopped) = watch::channel(false);
    let services = limits::limited(operations::server())
        .add_routes(routes.routes())
        .serve_with_incoming_shutdown(grpc.incoming(), stop_requested(grpc_stopped));
    let rest_at = rest.local_addr()?;
    let admin_link = admin_link(&config);
    let link = admin_link.as_ref().map(|link| {
        let base = edge.public_url.as_ref().map(|url| url.as_str().trim_end_matches('/').to_owned());
        format!("{}{}", base.unwrap_or_else(|| format!("http://{}", reachable(rest_at))), link.path())
    });
    let gateway = gateway::Config::new(upstream.clone(), upstream, session_key, proof);
    let gateway = gateway::Config { edge: Edge { admin_link, ..edge }, images: Some(served_images), ..gateway };
    let gateway = gateway::serve(rest, gateway::Gateway::new(gateway)?, stop_requested(rest_stopped));

    program.mark_ready();
    println!("{}", welcome::text(rest_at, grpc_at, &config.data, link.as_deref()));
    let (mut services, mut gateway) = (tokio::spawn(services), tokio::spawn(gateway));
    tokio::select! {
        () = program.shutdown_signal() => (),
        ended = &mut services => ended?.context("gRPC")?,
        ended = &mut gateway => ended?.context("REST")?,
    }
    // One deadline covers the whole shutdown. The gateway needs the services until its last response, so they stop
    // later. The
    // background jobs always keep some time to release their leases.
    let end = Instant::now() + DRAIN;
    stop_rest.send_replace(true);
    let _ = timeout_at(end - DRAIN / 5 * 2, gateway).await;
    users.end_live_queries();
    counseling.end_live_queries();
    stop_grpc.send_replace(true);
    let _ = timeout_at(end - DRAIN / 5, services).await;
    let left = end.saturating_duration_since(Instant::now());
    let [users, counseling] = background;
    tokio::join!(users.stop(left), counseling.stop(left));
    Ok(())
}

/// Returns the link for the first administrator, or `None` when there is one and no further link was asked for.
fn admin_link(config: &Config) -> Option<AdminLink> {
    let made = config.data.join("admin-made");
    (config.admin || !made.exists()).then(|| {
        AdminLink::new(move || {
            let mut note = OpenOptions::new();
            if let Err(error) = note.create(true).truncate(true).write(true).mode(0o600).open(&made) {
                tracing::error!(%error, "hearlers: the first administrator was not noted; the next start prints a link again");
            }
        })
    })
}

fn operators(operators: Option<&str>) -> Result<Operators> {
    let Some(operators) = secrets::given(operators) else { return Ok(Operators::none()) };
    Operators::parse(operators).context("--operators")
}

fn responder(config: &Config) -> Result<Arc<dyn Responder>> {
    let Some(url) = &config.responder_url else { return Ok(Arc::new(OfflineResponder)) };
    let mut model = OpenAiConfig { key: config.responder_key.as_deref().map(Secret::new), ..OpenAiConfig::new(url) };
    if let Some(name) = &config.responder_model {
        model.model.clone_from(name);
    }
    Ok(Arc::new(OpenAiResponder::new(model).context("--responder-url")?))
}

async fn bind(at: SocketAddr, flag: &str) -> Result<Listener> {
    Listener::bind(at)
        .await
        .with_context(|| format!("{flag} {at}: cannot listen on this address; port 0 chooses a free port"))
}

/// Returns the address at which this process reaches a listener. A listener on all addresses is reached on loopback.
fn reachable(at: SocketAddr) -> SocketAddr {
    match (at.ip().is_unspecified(), at.is_ipv4()) {
        (true, true) => SocketAddr::from(([127, 0, 0, 1], at.port())),
        (true, false) => SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], at.port())),
        _ => at,
    }
}

async fn stop_requested(mut stopped: watch::Receiver<bool>) {
    let _ = stopped.wait_for(|stopped| *stopped).await;
}
