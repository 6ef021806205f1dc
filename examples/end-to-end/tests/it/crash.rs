//! A process is killed or terminated while users send messages. Every acknowledged message is stored once, the others
//! can be sent again, and the wallets are correct.
use anyhow::{Context, Result, ensure};
use end_to_end::{Deployment, Person};
use futures_util::future::try_join_all;
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

const PEOPLE: usize = 6;
const EACH: usize = 6;
const PATIENCE: Duration = Duration::from_secs(120);

/// The way in which a process ends.
#[derive(Clone, Copy)]
pub(crate) enum End {
    Killed,
    /// By SIGTERM; it must end with success and in time.
    Terminated,
}
/// The time limit of a shutdown.
const EXIT: Duration = Duration::from_secs(10);

pub(crate) async fn loses_nothing(system: &mut Deployment, victim: &str, end: End) -> Result<()> {
    let done = Arc::new(AtomicUsize::new(0));
    let mut people = Vec::new();
    for _ in 0..PEOPLE {
        let person = Person::visit(system.base()).await?;
        let counsel = person.open_counsel(&person.a_counselor().await?).await?;
        people.push((person, counsel));
    }
    let talks = people.iter().map(|(person, counsel)| {
        let (person, counsel, done) = (person.clone(), counsel.clone(), done.clone());
        tokio::spawn(async move {
            for n in 0..EACH {
                person.send_message_until_accepted(&counsel, &format!("말 {n}"), &format!("key-{n}"), PATIENCE).await?;
                done.fetch_add(1, Ordering::Relaxed);
            }
            anyhow::Ok(())
        })
    });
    let talks: Vec<_> = talks.collect();
    for round in 1..=3 {
        // The process ends at a random moment in the middle of the work.
        while done.load(Ordering::Relaxed) < round * PEOPLE * EACH / 4 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        tokio::time::sleep(Duration::from_millis(fastrand::u64(0..50))).await;
        match end {
            End::Killed => system.kill(victim).await?,
            End::Terminated => {
                let took = system.terminate(victim).await?;
                ensure!(took < EXIT, "the shutdown took {took:?}");
            }
        }
        system.start_again(victim).await?;
    }
    for talk in try_join_all(talks).await? {
        talk?;
    }
    for (person, counsel) in &people {
        // A view may be behind for longer than a read waits while the process that was just started catches up.
        let messages = person.messages_within(counsel, PATIENCE).await.with_context(|| warnings(system, victim))?;
        ensure!(
            messages.len() == 1 + 2 * EACH,
            "expected the greeting, and each message and its reply once: {messages:?}"
        );
        for n in 0..EACH {
            let (message, reply) = (&messages[1 + 2 * n], &messages[2 + 2 * n]);
            ensure!(message == &(true, format!("말 {n}")) && !reply.0, "message {n} is not in its place: {messages:?}");
        }
        person.has_tokens((7 - EACH) as i64, PATIENCE).await?;
    }
    Ok(())
}

/// Returns the warnings and errors that the gateway and a service have logged.
fn warnings(system: &Deployment, service: &str) -> String {
    let logs = ["gateway", service].map(|name| system.log(name).unwrap_or_default());
    let lines = logs.iter().flat_map(|log| log.lines()).filter(|line| line.contains("WARN") || line.contains("ERROR"));
    lines.collect::<Vec<_>>().join("\n")
}

pub(crate) async fn ends_on_sigterm(system: &mut Deployment) -> Result<()> {
    let person = Person::visit(system.base()).await?;
    let counsel = person.open_counsel(&person.a_counselor().await?).await?;
    person.send_message(&counsel, "안녕하세요", "hello").await?.data()?;
    let took = system.terminate("hearlers").await?;
    ensure!(took < EXIT, "the shutdown took {took:?}");
    system.start_again("hearlers").await?;
    ensure!(person.messages(&counsel).await?.len() == 3);
    person.has_tokens(6, PATIENCE).await
}
