//! A view is rebuilt and switched while users send messages: over the operator API of the single process, and from the
//! command line beside a deployed service.
use anyhow::{Context, Result, ensure};
use end_to_end::{Deployment, Person, Program, Variables};
use futures_util::future::try_join_all;
use serde_json::Value;
use service_auth::CallKey;
use std::time::Duration;
use tokio::task::JoinHandle;

const PEOPLE: usize = 4;
const EACH: usize = 6;
const REBUILDS: usize = 3;
const PATIENCE: Duration = Duration::from_secs(120);
const SECRET: &str = "an operator's secret of 32 bytes and more";

/// A person with the path of their counsel, and the task that sends their messages.
struct Talk {
    person: Person,
    counsel: String,
    sending: JoinHandle<Result<()>>,
}
async fn talks(system: &Deployment) -> Result<Vec<Talk>> {
    let mut talks = Vec::new();
    for _ in 0..PEOPLE {
        let person = Person::visit(system.base()).await?;
        let counsel = person.open_counsel(&person.a_counselor().await?).await?;
        let (of, at) = (person.clone(), counsel.clone());
        let sending = tokio::spawn(async move {
            for n in 0..EACH {
                of.send_message_until_accepted(&at, &format!("말 {n}"), &format!("key-{n}"), PATIENCE).await?;
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
            Ok(())
        });
        talks.push(Talk { person, counsel, sending });
    }
    Ok(talks)
}
/// Waits until everything is sent, and checks that each message, its reply and its token are there once.
async fn all_arrived(talks: Vec<Talk>) -> Result<()> {
    let all = talks.into_iter().map(|Talk { person, counsel, sending }| async move {
        sending.await??;
        let messages = person.messages(&counsel).await?;
        ensure!(messages.len() == 1 + 2 * EACH, "expected each message and its reply once: {messages:?}");
        person.has_tokens((7 - EACH) as i64, PATIENCE).await
    });
    try_join_all(all).await.map(drop)
}

pub(crate) async fn over_http() -> Result<()> {
    let variables: Variables = vec![("HEARLERS_OPERATORS", format!("kim={SECRET}"))];
    let system = Deployment::embedded_with(variables).await?;
    let ask = async |path: &str, query: &[(&str, &str)]| -> Result<Value> {
        let mut url = reqwest::Url::parse(&format!("http://{}{path}", system.operations("hearlers")?))?;
        url.query_pairs_mut().extend_pairs(query);
        let response = reqwest::Client::new().post(url).bearer_auth(SECRET).send().await?;
        let body = response.text().await?;
        Ok(serde_json::from_str(body.lines().last().with_context(|| format!("{path} has sent nothing"))?)?)
    };
    let talks = talks(&system).await?;
    for _ in 0..REBUILDS {
        for (service, view) in [("counseling", "message-entry"), ("user", "user-wallet")] {
            let of = [("service", service), ("view", view)];
            let done = ask("/views/rebuild", &of).await?;
            ensure!(done["end"] == "switched" && done["different"] == 0, "{done}");
            let dropped = ask("/views/drop-old", &of).await?;
            ensure!(dropped["removed"].as_u64() > Some(0), "{dropped}");
        }
    }
    all_arrived(talks).await
}

pub(crate) async fn by_command(system: &Deployment) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let database = system.database("user-service").context("the service has a database")?.to_owned();
    let (_, public) = CallKey::generate_text().context("the system has no random numbers")?;
    let callers = format!("gateway={public}");
    // The view is on the service's own log, so no broker is needed.
    let variables =
        [("HEARLERS_DATABASE", &*database), ("HEARLERS_KAFKA", "127.0.0.1:1"), ("HEARLERS_CALLER_KEYS", &callers)];
    let run = |arguments: &[&str], log: &str| {
        let arguments: Vec<_> = ["views"].iter().chain(arguments).map(|&argument| argument.to_owned()).collect();
        Program::start_with("user-service", &arguments, &variables, &folder.path().join(log))
    };
    let log = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap_or_default();
    let talks = talks(system).await?;
    // A command that is killed is continued by the next one, once its lease has expired.
    let killed = run(&["rebuild", "user-wallet", "--throttle", "1"], "killed")?;
    tokio::time::sleep(Duration::from_secs(2)).await;
    killed.kill().await?;
    for round in 0..REBUILDS {
        let name = format!("rebuild {round}");
        while run(&["rebuild", "user-wallet"], &name)?.ends(PATIENCE).await? != Some(0) {
            // The view is small: the command may have switched it before it was killed, and says what to do then.
            if log(&name).contains("is kept from the last switch: drop it") {
                ensure!(run(&["drop-old", "user-wallet"], "drop")?.ends(PATIENCE).await? == Some(0), "{}", log("drop"));
                continue;
            }
            ensure!(log(&name).contains("its lease expires soon"), "{}", log(&name));
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        let output = log(&name);
        ensure!(output.contains("\"end\": \"switched\"") && output.contains("events read"), "{output}");
        ensure!(run(&["drop-old", "user-wallet"], "drop")?.ends(PATIENCE).await? == Some(0), "{}", log("drop"));
    }
    all_arrived(talks).await
}
