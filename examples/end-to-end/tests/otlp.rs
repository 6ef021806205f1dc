//! Export of spans to a collector that is configured with OpenTelemetry's variables. A test binary of its own, because
//! the variables are read once and a process has one tracing subscriber.
use cqrs_core::{App, BoxError, operations::Program};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
    trace_service_server::{TraceService, TraceServiceServer},
};
use std::time::Duration;
use tokio::{net::TcpListener, sync::mpsc};
use tonic::{
    Request, Response, Status,
    transport::{Server, server::TcpIncoming},
};
use user_service::application::queries::FindUserByUserId;

struct Collector(mpsc::UnboundedSender<ExportTraceServiceRequest>);
#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let _ = self.0.send(request.into_inner()); // fails if the test has ended
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pending_spans_are_exported_when_the_program_ends() -> Result<(), BoxError> {
    let (send, mut received) = mpsc::unbounded_channel();
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let endpoint = format!("http://{}", listener.local_addr()?);
    let collector = Server::builder().add_service(TraceServiceServer::new(Collector(send)));
    tokio::spawn(collector.serve_with_incoming(TcpIncoming::from(listener)));

    #[expect(unsafe_code, reason = "nothing else in this process reads or writes the environment now")]
    // SAFETY: the only other tasks are the collector's, which do not touch it.
    unsafe {
        std::env::set_var("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint);
    }
    let program = Program::start("tried", "warn");
    let app = user_service::wire(App::builder("user")).build()?;
    let unknown = app.send(FindUserByUserId { user: uuid::Uuid::now_v7().to_string().parse()? }).await;
    assert!(unknown.is_err(), "a user with a random id was found");
    tokio::task::spawn_blocking(move || drop(program)).await?;

    let sent = tokio::time::timeout(Duration::from_secs(30), received.recv()).await?.ok_or("no spans were exported")?;
    let exported = format!("{sent:?}");
    assert!(exported.contains("send FindUserByUserId"), "{exported}");
    assert!(exported.contains("service.name") && exported.contains("\"tried\""), "{exported}");
    Ok(())
}
