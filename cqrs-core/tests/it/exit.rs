//! A process that hangs at shutdown is ended after a time limit, or by a second signal.
//!
//! Each test starts a process of its own.
use crate::trials::trial;
use cqrs_core::{
    App, BoxError,
    operations::{EXIT, Program},
};
use libtest_mimic::Trial;
use std::{
    env,
    process::{ExitCode, Stdio},
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    net::{TcpListener, TcpStream},
    process::{Child, Command},
};
use tonic::service::RoutesBuilder;

/// The environment variable that makes this program serve instead of running tests.
const ROLE: &str = "CQRS_TEST_ROLE";

pub(crate) fn trials() -> Vec<Trial> {
    let fails = |done: Result<(), BoxError>| done.unwrap_or_else(|error| panic!("{error}"));
    vec![
        trial("exit: a process that hangs at shutdown is ended after ten seconds", async move || fails(hangs().await)),
        trial("exit: a second signal ends the process at once", async move || fails(second_signal().await)),
        trial("exit: a signal before the process serves ends it with success", async move || fails(too_early().await)),
    ]
}

/// Runs this program as a process that is to be stopped, if it was started as one.
pub(crate) fn role() -> Option<ExitCode> {
    let role = env::var(ROLE).ok()?;
    let runtime = tokio::runtime::Runtime::new().expect("the runtime starts");
    let ended = runtime.block_on(serve(&role));
    drop(runtime); // like `#[tokio::main]`, waits for blocking tasks
    Some(if ended.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
async fn serve(role: &str) -> Result<(), BoxError> {
    let program = Program::start("tried", "off");
    let app = App::builder("tried").build()?;
    if role == "starts" {
        println!("ready");
        std::future::pending::<()>().await;
    }
    tokio::task::spawn_blocking(|| std::thread::sleep(Duration::from_secs(3600)));
    let free = TcpListener::bind("127.0.0.1:0").await?.local_addr()?;
    let serving = tokio::spawn(async move { program.serve(&app, free, RoutesBuilder::default(), &[]).await });
    while TcpStream::connect(free).await.is_err() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    println!("ready");
    serving.await?
}

async fn hangs() -> Result<(), BoxError> {
    let child = process("serves").await?;
    let signalled = Instant::now();
    terminate(&child).await?;
    let (code, stderr) = end_of(child).await?;
    assert_eq!(code, Some(1), "{stderr}");
    assert!(stderr.contains("did not end within 10 s"), "{stderr}");
    assert!(signalled.elapsed() >= EXIT, "ended too early, after {:?}", signalled.elapsed());
    Ok(())
}

async fn second_signal() -> Result<(), BoxError> {
    let mut child = process("serves").await?;
    terminate(&child).await?;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(child.try_wait()?.is_none(), "the process must hang");
    terminate(&child).await?;
    let (code, stderr) = end_of(child).await?;
    assert_eq!(code, Some(128 + 15), "{stderr}");
    assert!(stderr.contains("received a second signal"), "{stderr}");
    Ok(())
}

async fn too_early() -> Result<(), BoxError> {
    let child = process("starts").await?;
    terminate(&child).await?;
    assert_eq!(end_of(child).await?.0, Some(0));
    Ok(())
}

/// Starts a process of this role and waits until it is ready.
async fn process(role: &str) -> Result<Child, BoxError> {
    let mut command = Command::new(env::current_exe()?);
    command.env(ROLE, role).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn()?;
    let mut lines = BufReader::new(child.stdout.take().ok_or("no output")?).lines();
    while let Some(line) = lines.next_line().await? {
        if line == "ready" {
            return Ok(child);
        }
    }
    Err("the process ended before it was ready".into())
}
async fn terminate(child: &Child) -> Result<(), BoxError> {
    let id = child.id().ok_or("the process is gone")?.to_string();
    assert!(Command::new("kill").args(["-TERM", &id]).status().await?.success());
    Ok(())
}
/// Waits for the end and returns the exit code and the standard error.
async fn end_of(child: Child) -> Result<(Option<i32>, String), BoxError> {
    let output = tokio::time::timeout(Duration::from_secs(60), child.wait_with_output()).await??;
    Ok((output.status.code(), String::from_utf8(output.stderr)?))
}
