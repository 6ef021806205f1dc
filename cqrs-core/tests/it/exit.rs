//! The end of a process that hangs: time ends it, and so does a second signal. Each is a process of its own.
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

/// What this program is to do instead of running tests.
const ROLE: &str = "CQRS_TEST_ROLE";

pub(crate) fn trials() -> Vec<Trial> {
    let fails = |done: Result<(), BoxError>| done.unwrap_or_else(|error| panic!("{error}"));
    vec![
        trial("exit: what hangs is ended after ten seconds", async move || fails(hangs().await)),
        trial("exit: a second signal ends it at once", async move || fails(told_again().await)),
        trial("exit: before it serves a signal ends it well", async move || fails(too_early().await)),
    ]
}

/// This program as one that is asked to end, if that is what it was started for.
pub(crate) fn role() -> Option<ExitCode> {
    let role = env::var(ROLE).ok()?;
    let runtime = tokio::runtime::Runtime::new().expect("a runtime starts");
    let ended = runtime.block_on(serve(&role));
    drop(runtime); // as `#[tokio::main]` does it: whatever blocks is waited for
    Some(if ended.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
async fn serve(role: &str) -> Result<(), BoxError> {
    let program = Program::start("tried", "off");
    let app = App::new("tried").build()?;
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
    let asked = Instant::now();
    ask_to_end(&child).await?;
    let (code, said) = ends(child).await?;
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("did not end within 10 s"), "{said}");
    assert!(asked.elapsed() >= EXIT, "after {:?}: it has its time", asked.elapsed());
    Ok(())
}

async fn told_again() -> Result<(), BoxError> {
    let mut child = process("serves").await?;
    ask_to_end(&child).await?;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(child.try_wait()?.is_none(), "it hangs");
    ask_to_end(&child).await?;
    let (code, said) = ends(child).await?;
    assert_eq!(code, Some(128 + 15), "{said}");
    assert!(said.contains("told again"), "{said}");
    Ok(())
}

async fn too_early() -> Result<(), BoxError> {
    let child = process("starts").await?;
    ask_to_end(&child).await?;
    assert_eq!(ends(child).await?.0, Some(0));
    Ok(())
}

/// Starts it, and waits until it is ready.
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
    Err("it ended before it was ready".into())
}
async fn ask_to_end(child: &Child) -> Result<(), BoxError> {
    let id = child.id().ok_or("it is gone")?.to_string();
    assert!(Command::new("kill").args(["-TERM", &id]).status().await?.success());
    Ok(())
}
/// Its exit code, and what it said.
async fn ends(child: Child) -> Result<(Option<i32>, String), BoxError> {
    let output = tokio::time::timeout(Duration::from_secs(60), child.wait_with_output()).await??;
    Ok((output.status.code(), String::from_utf8(output.stderr)?))
}
