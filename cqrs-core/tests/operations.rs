//! A process that is asked to end: not ready at once, alive to the end. Its own binary, since it sends the signal to itself.
use cqrs_core::{App, BoxError, operations::Program};
use std::{net::SocketAddr, process, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    process::Command,
};
use tonic::{Code, service::RoutesBuilder, transport::Endpoint};
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient};

/// Status and text of an answer.
async fn get(at: SocketAddr, path: &str) -> Result<(u16, String), BoxError> {
    let mut stream = TcpStream::connect(at).await?;
    stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: it\r\nconnection: close\r\n\r\n").as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    let status = answer.split(' ').nth(1).ok_or("no status")?.parse()?;
    Ok((status, answer))
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
async fn it_is_asked_from_the_start_to_the_end() -> Result<(), BoxError> {
    let program = Program::start("tried", "warn");
    let app = App::new("tried").build()?;
    let program = program.watch(app.clone());
    assert_eq!(program.listen(None).await?, None, "nobody listens unless told to");
    let at = program.listen(Some("127.0.0.1:0".parse()?)).await?.ok_or("it does not listen")?;
    assert_eq!(get(at, "/health/live").await?.0, 200);
    let (status, text) = get(at, "/health/ready").await?;
    assert!(status == 503 && text.contains(r#""phase":"starting""#), "{text}");

    let free = TcpListener::bind("127.0.0.1:0").await?.local_addr()?;
    let serving = tokio::spawn(async move {
        program.serve(&app, free, RoutesBuilder::default(), &["tried.v1.Tried"]).await.map(|()| program)
    });
    let text = until(at, 200).await?;
    assert!(text.contains(r#""part":"database","state":"up""#), "{text}");
    let (_, text) = get(at, "/metrics").await?;
    assert!(text.contains("# TYPE cqrs_part_up gauge"), "{text}");
    assert!(text.contains("cqrs_part_up{service=\"tried\",part=\"database\"} 1"), "{text}");

    let mut health = HealthClient::new(Endpoint::from_shared(format!("http://{free}"))?.connect().await?);
    for service in ["", "tried.v1.Tried"] {
        assert_eq!(health.check(about(service)).await?.into_inner().status(), ServingStatus::Serving);
    }
    let unknown = health.check(about("tried.v1.Other")).await.expect_err("there is none of this name");
    assert_eq!(unknown.code(), Code::NotFound);
    let mut watched = health.watch(about("tried.v1.Tried")).await?.into_inner();
    assert_eq!(watched.message().await?.map(|it| it.status()), Some(ServingStatus::Serving));

    assert!(Command::new("kill").args(["-TERM", &process::id().to_string()]).status().await?.success());
    let text = until(at, 503).await?;
    assert!(text.contains(r#""phase":"stopping""#), "{text}");
    assert_eq!(get(at, "/health/live").await?.0, 200, "it is not to be killed");
    assert_eq!(watched.message().await?.map(|it| it.status()), Some(ServingStatus::NotServing));
    assert!(watched.message().await?.is_none(), "a watch does not hold it up");
    drop(health);
    let program = serving.await??;
    assert_eq!(get(at, "/health/ready").await?.0, 503, "and so to the end");
    drop(program);
    Ok(())
}
