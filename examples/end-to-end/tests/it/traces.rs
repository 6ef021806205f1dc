//! One trace from an HTTP request to the command that its event causes in another service; every span collected in memory.
use anyhow::{Context, Result, ensure};
use counseling_service::OfflineResponder;
use cqrs_core::{App, app::Background, operations, testing::settle, trace, transport::InProcess};
use end_to_end::Person;
use gateway::{Config, Gateway};
use opentelemetry::trace::{SpanId, SpanKind};
use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider, SpanData};
use std::{
    collections::BTreeSet,
    future::pending,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::net::TcpListener;
use tonic::{service::RoutesBuilder, transport::server::TcpIncoming};
use tracing_subscriber::{layer::SubscriberExt, util::SubscriberInitExt};
use trust::{Key, Proof};

const PATIENCE: Duration = Duration::from_secs(30);
const TEXT: &str = "아무도 볼 수 없는 말";

pub(crate) async fn one_from_http_to_the_last_command() -> Result<()> {
    let spans = InMemorySpanExporter::default();
    let provider = SdkTracerProvider::builder().with_simple_exporter(spans.clone()).build();
    tracing_subscriber::registry().with(trace::layer(&provider)).try_init()?;
    let (base, _background) = system().await?;

    let kim = Person::visit(&base).await?;
    let counsel = kim.open_counsel(&kim.a_counselor().await?).await?;
    kim.say(&counsel, TEXT, "one").await?.data()?;
    kim.has_tokens(6, PATIENCE).await?;

    let said = "POST /v1/counselors/{counselor}/counsels/{counsel}/messages";
    let all = until(&spans, |all| named(all, said).is_some() && named(all, "send SpendTokens").is_some()).await?;
    let http = named(&all, said).context("no request")?;
    ensure!(http.span_kind == SpanKind::Server && http.parent_span_id == SpanId::INVALID);
    let spent = named(&all, "send SpendTokens").context("nothing is spent")?;
    let way = way_up(&all, spent);
    let names: Vec<_> = way.iter().map(|it| it.name.as_ref()).collect();
    ensure!(names.last() == Some(&said), "from the last command to the request: {names:#?}");
    ensure!(names[1].starts_with("process ") && way[1].span_kind == SpanKind::Consumer, "{names:#?}");
    ensure!(names.iter().any(|it| it.contains("CounselService/")), "by way of gRPC: {names:#?}");
    let asked = way.iter().find(|it| it.span_kind == SpanKind::Client).context("nobody asks")?;
    ensure!(asked.name == "CreateMessage", "the gateway asks: {names:#?}");
    let trace = http.span_context.trace_id();
    ensure!(way.iter().all(|it| it.span_context.trace_id() == trace));

    let sent = all.iter().filter(|it| it.name.starts_with("publish "));
    let ours = |it: &&SpanData| {
        let links = it.links.iter().map(|link| link.span_context.trace_id());
        links.chain([it.span_context.trace_id()]).any(|it| it == trace)
    };
    let sent = sent.filter(ours).collect::<Vec<_>>();
    ensure!(!sent.is_empty() && sent.iter().all(|it| it.span_kind == SpanKind::Producer), "it was sent: {sent:?}");
    for key in ["messaging.system", "messaging.destination.name", "messaging.consumer.group.name"] {
        ensure!(way[1].attributes.iter().any(|it| it.key.as_str() == key), "no {key} in {:?}", way[1]);
    }
    ensure!(!format!("{all:?}").contains(TEXT), "a span tells what was said");
    callers(&base, &spans).await
}

/// Whoever calls with a trace of their own finds us in it.
async fn callers(base: &str, spans: &InMemorySpanExporter) -> Result<()> {
    let traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    reqwest::Client::new().get(format!("{base}/v1/tones")).header("traceparent", traceparent).send().await?;
    let all = until(spans, |all| named(all, "GET /v1/tones").is_some()).await?;
    let http = named(&all, "GET /v1/tones").context("no request")?;
    ensure!(http.span_context.trace_id().to_string() == traceparent[3..35] && http.parent_span_is_remote);
    ensure!(http.parent_span_id.to_string() == traceparent[36..52]);
    Ok(())
}

/// The three programs' parts, in this process.
async fn system() -> Result<(String, [Background; 2])> {
    let broker = InProcess::new();
    let users = user_service::wire(App::new("user").transport(broker.clone())).build()?;
    let counseling = App::new(counseling_service::NAME).transport(broker);
    let counseling = counseling_service::wire(counseling, Arc::new(OfflineResponder)).build()?;
    let joined = (users.join().await?, counseling.join().await?);
    let background = [joined.0.start(), joined.1.start()];
    counseling_service::seed(&counseling).await.map_err(anyhow::Error::from_boxed)?;
    settle(&[&users, &counseling]).await;

    let mut routes = RoutesBuilder::default();
    let secret = Key::new("a secret for tests, 32 bytes long").context("too short")?;
    let proof = Proof::signed(secret.clone());
    user_service::grpc(&users, &proof, &mut routes);
    counseling_service::grpc(&counseling, &proof, &mut routes);
    let grpc = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", grpc.local_addr()?);
    let server = operations::server().add_routes(routes.routes());
    tokio::spawn(server.serve_with_incoming(TcpIncoming::from(grpc)));
    let rest = TcpListener::bind("127.0.0.1:0").await?;
    let base = format!("http://{}", rest.local_addr()?);
    tokio::spawn(gateway::serve(rest, Gateway::new(Config::new(url.clone(), url, secret, proof))?, pending()));
    Ok((base, background))
}

async fn until(spans: &InMemorySpanExporter, so: impl Fn(&[SpanData]) -> bool) -> Result<Vec<SpanData>> {
    let began = Instant::now();
    loop {
        let all = spans.get_finished_spans()?;
        if so(&all) {
            return Ok(all);
        }
        let names = || all.iter().map(|it| it.name.clone()).collect::<BTreeSet<_>>();
        ensure!(began.elapsed() < PATIENCE, "not all of it was traced: {:#?}", names());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
fn named<'a>(all: &'a [SpanData], name: &str) -> Option<&'a SpanData> {
    all.iter().find(|it| it.name == name)
}
/// From a span to its root.
fn way_up<'a>(all: &'a [SpanData], from: &'a SpanData) -> Vec<&'a SpanData> {
    let parent = |it: &&'a SpanData| all.iter().find(|other| other.span_context.span_id() == it.parent_span_id);
    std::iter::successors(Some(from), parent).collect()
}
