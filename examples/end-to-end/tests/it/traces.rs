//! One trace leads from an HTTP request to the command that its event causes in another service. The spans are
//! collected in memory.
use anyhow::{Context, Result, ensure};
use counseling_service::{OfflineResponder, Ports, Wallets};
use cqrs_core::{App, app::Background, operations, telemetry::trace, testing::settle, transport::InProcess};
use end_to_end::Person;
use gateway::{Config, Gateway};
use opentelemetry::trace::{SpanId, SpanKind};
use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider, SpanData};
use service_auth::{Key, Proof};
use std::{
    collections::BTreeSet,
    future::pending,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::net::TcpListener;
use tonic::service::RoutesBuilder;
use tracing_subscriber::{layer::SubscriberExt, util::SubscriberInitExt};

const PATIENCE: Duration = Duration::from_secs(30);
const TEXT: &str = "아무도 볼 수 없는 말";

pub(crate) async fn one_from_http_to_the_last_command() -> Result<()> {
    let spans = InMemorySpanExporter::default();
    let provider = SdkTracerProvider::builder().with_simple_exporter(spans.clone()).build();
    tracing_subscriber::registry().with(trace::layer(&provider)).try_init()?;
    let System { base, .. } = &system().await?;
    let base = base.as_str();

    let kim = Person::visit(base).await?;
    let counsel = kim.open_counsel(&kim.a_counselor().await?).await?;
    kim.send_message(&counsel, TEXT, "one").await?.data()?;
    kim.has_tokens(6, PATIENCE).await?;

    let route = "POST /v1/counselors/{counselorId}/counsels/{counselId}/messages";
    let all = until(&spans, |all| named(all, route).is_some() && named(all, "send ConsumeTokens").is_some()).await?;
    let http = named(&all, route).context("no span of the request")?;
    ensure!(http.span_kind == SpanKind::Server && http.parent_span_id == SpanId::INVALID);
    let consumed = named(&all, "send ConsumeTokens").context("no span of the last command")?;
    let path = path_to_root(&all, consumed);
    let names: Vec<_> = path.iter().map(|span| span.name.as_ref()).collect();
    ensure!(names.last() == Some(&route), "the last command is not below the request: {names:#?}");
    ensure!(names[1].starts_with("process ") && path[1].span_kind == SpanKind::Consumer, "{names:#?}");
    ensure!(names.iter().any(|name| name.contains("CounselService/")), "no span of the gRPC server: {names:#?}");
    let call = path.iter().find(|span| span.span_kind == SpanKind::Client).context("no span of a client")?;
    ensure!(call.name == "CreateMessage", "no span of the gateway's call: {names:#?}");
    let trace = http.span_context.trace_id();
    ensure!(path.iter().all(|span| span.span_context.trace_id() == trace));

    let sent = all.iter().filter(|span| span.name.starts_with("publish "));
    let in_trace = |span: &&SpanData| {
        let links = span.links.iter().map(|link| link.span_context.trace_id());
        links.chain([span.span_context.trace_id()]).any(|id| id == trace)
    };
    let sent = sent.filter(in_trace).collect::<Vec<_>>();
    ensure!(
        !sent.is_empty() && sent.iter().all(|span| span.span_kind == SpanKind::Producer),
        "no span of the producer: {sent:?}"
    );
    for key in ["messaging.system", "messaging.destination.name", "messaging.consumer.group.name"] {
        ensure!(path[1].attributes.iter().any(|attribute| attribute.key.as_str() == key), "no {key} in {:?}", path[1]);
    }
    ensure!(!format!("{all:?}").contains(TEXT), "a span contains the text of the message");
    continues_a_callers_trace(base, &spans).await
}

/// Checks that a request with a `traceparent` header continues the trace of its caller.
async fn continues_a_callers_trace(base: &str, spans: &InMemorySpanExporter) -> Result<()> {
    let traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    reqwest::Client::new().get(format!("{base}/v1/tones")).header("traceparent", traceparent).send().await?;
    let all = until(spans, |all| named(all, "GET /v1/tones").is_some()).await?;
    let http = named(&all, "GET /v1/tones").context("no span of the request")?;
    ensure!(http.span_context.trace_id().to_string() == traceparent[3..35] && http.parent_span_is_remote);
    ensure!(http.parent_span_id.to_string() == traceparent[36..52]);
    Ok(())
}

/// The services of the three programs in this process.
pub(crate) struct System {
    /// The base URL of the REST API.
    pub(crate) base: String,
    /// The URL of both services.
    pub(crate) grpc: String,
    pub(crate) proof: Proof,
    _background: [Background; 2],
}

/// Starts the services.
pub(crate) async fn system() -> Result<System> {
    let (broker, secret) = (InProcess::new(), Key::new("a secret for tests, 32 bytes long").context("too short")?);
    let proof = Proof::signed(secret.clone());
    let grpc = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", grpc.local_addr()?);
    let users = user_service::wire(App::builder(user_service::SERVICE.app).transport(broker.clone())).build()?;
    let counseling = App::builder(counseling_service::SERVICE.app).transport(broker);
    let ports = Ports::new(Arc::new(OfflineResponder), Arc::new(Wallets::new(&url, &proof)?));
    let counseling = counseling_service::wire(counseling, ports).build()?;
    let joined = (users.join().await?, counseling.join().await?);
    let background = [joined.0.start(), joined.1.start()];
    counseling_service::seed(&counseling).await.map_err(anyhow::Error::from_boxed)?;
    settle(&[&users, &counseling]).await;

    let mut routes = RoutesBuilder::default();
    (user_service::SERVICE.routes)(&users, &proof, &mut routes);
    (counseling_service::SERVICE.routes)(&counseling, &proof, &mut routes);
    let server = operations::server().add_routes(routes.routes());
    tokio::spawn(server.serve_with_incoming(cqrs_core::net::Listener::from(grpc).incoming()));
    let rest = TcpListener::bind("127.0.0.1:0").await?;
    let base = format!("http://{}", rest.local_addr()?);
    let gateway = Gateway::new(Config::new(url.clone(), url.clone(), secret, proof.clone()))?;
    tokio::spawn(gateway::serve(rest, gateway, pending()));
    Ok(System { base, grpc: url, proof, _background: background })
}

async fn until(spans: &InMemorySpanExporter, condition: impl Fn(&[SpanData]) -> bool) -> Result<Vec<SpanData>> {
    let began = Instant::now();
    loop {
        let all = spans.get_finished_spans()?;
        if condition(&all) {
            return Ok(all);
        }
        let names = || all.iter().map(|span| span.name.clone()).collect::<BTreeSet<_>>();
        ensure!(began.elapsed() < PATIENCE, "a span is missing; the finished spans are {:#?}", names());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
fn named<'a>(all: &'a [SpanData], name: &str) -> Option<&'a SpanData> {
    all.iter().find(|span| span.name == name)
}
/// Returns a span and its ancestors, up to the root.
fn path_to_root<'a>(all: &'a [SpanData], from: &'a SpanData) -> Vec<&'a SpanData> {
    let parent = |span: &&'a SpanData| all.iter().find(|other| other.span_context.span_id() == span.parent_span_id);
    std::iter::successors(Some(from), parent).collect()
}
