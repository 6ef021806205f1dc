//! Spans leave the process: a collector of our own receives them, by OpenTelemetry's own variables. A binary of its own: the
//! variables are read once, and a process has one subscriber.
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
        let _ = self.0.send(request.into_inner()); // the test may have seen enough
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_left_is_sent_when_the_program_ends() -> Result<(), BoxError> {
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
    let app = user_service::wire(App::new("user")).build()?;
    let nobody = app.send(FindUserByUserId { user: uuid::Uuid::now_v7().to_string().parse()? }).await;
    assert!(nobody.is_err(), "there is nobody of this name");
    tokio::task::spawn_blocking(move || drop(program)).await?;

    let sent = tokio::time::timeout(Duration::from_secs(30), received.recv()).await?.ok_or("nothing was sent")?;
    let said = format!("{sent:?}");
    assert!(said.contains("send FindUserByUserId"), "{said}");
    assert!(said.contains("service.name") && said.contains("\"tried\""), "{said}");
    Ok(())
}
