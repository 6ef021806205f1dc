//! A process is killed, or asked to end, while people talk: what was acknowledged is there once, what was not can be said again, and the
//! wallets are right.
use anyhow::{Result, ensure};
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

/// How a process ends.
#[derive(Clone, Copy)]
pub(crate) enum End {
    Killed,
    /// By SIGTERM: it ends well, and in time.
    Asked,
}
/// How long that may take in all.
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
                person.say_until_done(&counsel, &format!("말 {n}"), &format!("key-{n}"), PATIENCE).await?;
                done.fetch_add(1, Ordering::Relaxed);
            }
            anyhow::Ok(())
        })
    });
    let talks: Vec<_> = talks.collect();
    for round in 1..=3 {
        // In the middle of the work, wherever that is just now.
        while done.load(Ordering::Relaxed) < round * PEOPLE * EACH / 4 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        tokio::time::sleep(Duration::from_millis(fastrand::u64(0..50))).await;
        match end {
            End::Killed => system.kill(victim).await?,
            End::Asked => {
                let took = system.terminate(victim).await?;
                ensure!(took < EXIT, "it took {took:?}");
            }
        }
        system.start_again(victim).await?;
    }
    for talk in try_join_all(talks).await? {
        talk?;
    }
    for (person, counsel) in &people {
        let said = person.said(counsel).await?;
        ensure!(said.len() == 1 + 2 * EACH, "each message and its reply once, after the greeting: {said:?}");
        for n in 0..EACH {
            let (asked, answered) = (&said[1 + 2 * n], &said[2 + 2 * n]);
            ensure!(asked == &(true, format!("말 {n}")) && !answered.0, "message {n} is not in its place: {said:?}");
        }
        person.has_tokens((7 - EACH) as i64, PATIENCE).await?;
    }
    Ok(())
}

pub(crate) async fn ends_when_asked(system: &mut Deployment) -> Result<()> {
    let person = Person::visit(system.base()).await?;
    let counsel = person.open_counsel(&person.a_counselor().await?).await?;
    person.say(&counsel, "안녕하세요", "hello").await?.data()?;
    let took = system.terminate("hearlers").await?;
    ensure!(took < EXIT, "it took {took:?}");
    system.start_again("hearlers").await?;
    ensure!(person.said(&counsel).await?.len() == 3);
    person.has_tokens(6, PATIENCE).await
}
