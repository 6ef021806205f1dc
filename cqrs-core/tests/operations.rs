//! Health and metrics of a process from start-up to shutdown. A binary of its own: it sends the signal to itself.
use cqrs_core::{App, BoxError, operations::Program};
use std::{net::SocketAddr, process, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    process::Command,
};
use tonic::{Code, service::RoutesBuilder, transport::Endpoint};
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient};

/// Requests the path and returns the status and the text of the response.
async fn get(at: SocketAddr, path: &str) -> Result<(u16, String), BoxError> {
    let mut stream = TcpStream::connect(at).await?;
    stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: it\r\nconnection: close\r\n\r\n").as_bytes()).await?;
    let mut response = String::new();
    stream.read_to_string(&mut response).await?;
    let status = response.split(' ').nth(1).ok_or("no status")?.parse()?;
    Ok((status, response))
}
async fn until(at: SocketAddr, status: u16) -> Result<String, BoxError> {
    loop {
        let (found, text) = get(at, "/health/ready").await?;
        if found == status {
            return Ok(text);
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
fn about(service: &str) -> HealthCheckRequest {
    HealthCheckRequest { service: service.to_owned() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn health_endpoints_follow_the_process_from_start_up_to_shutdown() -> Result<(), BoxError> {
    let program = Program::start("tried", "warn");
    let app = App::builder("tried").build()?;
    let program = program.watch(app.clone()).shutdown_pause(Duration::from_secs(3));
    assert_eq!(program.listen(None).await?, None, "without an address nothing listens");
    let at = program.listen(Some("127.0.0.1:0".parse()?)).await?.ok_or("the operations endpoint does not listen")?;
    assert_eq!(get(at, "/health/live").await?.0, 200);
    let (status, text) = get(at, "/health/ready").await?;
    assert!(status == 503 && text.contains(r#""phase":"starting""#), "{text}");

    let free = TcpListener::bind("127.0.0.1:0").await?.local_addr()?;
    let serving = tokio::spawn(async move {
        program.serve(&app, free, RoutesBuilder::default(), &["tried.v1.Tried"]).await.map(|()| program)
    });
    let text = until(at, 200).await?;
    assert!(text.contains(r#""component":"database","required":true,"service":"tried","state":"up""#), "{text}");
    let (_, text) = get(at, "/metrics").await?;
    assert!(text.contains("# TYPE cqrs_component_up gauge"), "{text}");
    assert!(text.contains("cqrs_component_up{service=\"tried\",component=\"database\"} 1"), "{text}");

    let mut health = HealthClient::new(Endpoint::from_shared(format!("http://{free}"))?.connect().await?);
    for service in ["", "tried.v1.Tried"] {
        assert_eq!(health.check(about(service)).await?.into_inner().status(), ServingStatus::Serving);
    }
    let unknown = health.check(about("tried.v1.Other")).await.expect_err("no service has this name");
    assert_eq!(unknown.code(), Code::NotFound);
    let mut watched = health.watch(about("tried.v1.Tried")).await?.into_inner();
    assert_eq!(watched.message().await?.map(|response| response.status()), Some(ServingStatus::Serving));

    assert!(Command::new("kill").args(["-TERM", &process::id().to_string()]).status().await?.success());
    let text = until(at, 503).await?;
    assert!(text.contains(r#""phase":"stopping""#), "{text}");
    assert_eq!(get(at, "/health/live").await?.0, 200, "a process that is stopping must stay alive");
    assert_eq!(watched.message().await?.map(|response| response.status()), Some(ServingStatus::NotServing));
    let mut late = HealthClient::new(Endpoint::from_shared(format!("http://{free}"))?.connect().await?);
    let status = late.check(about("")).await?.into_inner().status();
    assert_eq!(status, ServingStatus::NotServing, "during the pause a new connection is served");
    drop(late);
    assert!(watched.message().await?.is_none(), "a watch must not delay the shutdown");
    drop(health);
    let program = serving.await??;
    assert_eq!(get(at, "/health/ready").await?.0, 503, "the process stays not ready to the end");
    drop(program);
    Ok(())
}
