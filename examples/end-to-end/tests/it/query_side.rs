//! Counsels are read from query servers on one Redis, while the service, a query server or Redis is killed.
use anyhow::{Context, Result, ensure};
use end_to_end::{Deployment, Person, Reply};
use futures_util::future::try_join_all;
use reqwest::Method;
use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};
use test_support::{Kafka, Postgres, Redis};

const GATEWAYS: [&str; 2] = ["gateway", "gateway-2"];
const QUERY_SERVERS: [&str; 2] = ["counseling-queries", "counseling-queries-2"];
const SERVICE: &str = "counseling-service";
/// The people who send messages over each gateway, and the number of messages of each.
const PEOPLE: usize = 2;
const EACH: usize = 6;
/// The number of times that a query server is killed.
const KILLS: usize = 6;
const PATIENCE: Duration = Duration::from_secs(120);

pub(crate) async fn answers_without_the_service(postgres: &'static Postgres, kafka: Kafka, redis: Redis) -> Result<()> {
    let mut system = started(postgres, &kafka, &redis).await?;
    let (kim, counsel) = conversation(&system, GATEWAYS[0]).await?;
    let lee = Person::visit(system.base()).await?.reading_own_writes();
    for n in 0..3 {
        kim.send_message_until_accepted(&counsel, &format!("말 {n}"), &format!("key-{n}"), PATIENCE).await?;
        let read = kim.messages_within(&counsel, PATIENCE).await?;
        ensure!(read.len() == 3 + 2 * n, "a read after the write does not return it: {read:?}");
    }
    // A client that sends no token may ask for what it has just made: the service answers for what the query side lacks.
    let park = Person::visit(system.base()).await?;
    let opened = park.open_counsel(&park.a_counselor().await?).await?;
    park.get(&opened).await?;
    park.send_message(&opened, "안녕하세요", "hello").await?.data()?;

    let before = kim.messages_within(&counsel, PATIENCE).await?;
    kim.send_message_until_accepted(&counsel, "말 3", "key-3", PATIENCE).await?;
    system.kill(SERVICE).await?;
    // Only a query server can answer now. It may wait for the last message, and it may not leave it out.
    for gateway in GATEWAYS {
        let kim = kim.at(&system.base_of(gateway)?);
        let read = kim.messages_within(&counsel, PATIENCE).await.with_context(|| gateway.to_owned())?;
        ensure!(read.len() == 9 && read.starts_with(&before), "{gateway}: {read:?}");
        ensure!(read[7] == (true, "말 3".to_owned()), "{gateway}: {read:?}");
        ensure!(counsels(&kim).await? == [id_of(&counsel)].into(), "{gateway} lists other counsels");
        let one = kim.get(&counsel).await?;
        ensure!(one["counsel"]["id"] == id_of(&counsel).as_str(), "{gateway}: {one}");
        let ready = system.ask(gateway, "/health/ready").await?;
        ensure!(ready.0 == 200, "{gateway} is not ready although a query server answers: {ready:?}");
    }
    let foreign = lee.ask(Method::GET, &format!("{counsel}/messages"), None, None).await?;
    ensure!(foreign.status == 404, "another user's counsel must not be found: {foreign:?}");
    let refused = kim.send_message(&counsel, "말 4", "key-4").await?;
    ensure!(refused.status == 503, "a command without the service: {refused:?}");

    system.start_again(SERVICE).await?;
    kim.send_message_until_accepted(&counsel, "말 4", "key-4", PATIENCE).await?;
    let read = kim.messages_within(&counsel, PATIENCE).await?;
    ensure!(read.len() == 11 && read[9] == (true, "말 4".to_owned()), "{read:?}");
    kim.has_tokens(2, PATIENCE).await
}

pub(crate) async fn loses_nothing(postgres: &'static Postgres, kafka: Kafka, redis: Redis) -> Result<()> {
    let mut system = started(postgres, &kafka, &redis).await?;
    let mut people = Vec::new();
    for gateway in GATEWAYS.repeat(PEOPLE) {
        people.push(conversation(&system, gateway).await?);
    }
    let talks = people.iter().cloned().map(|(person, counsel)| tokio::spawn(talk(person, counsel)));
    let talks: Vec<_> = talks.collect();
    for victim in QUERY_SERVERS.iter().cycle().take(KILLS) {
        pause(1_500).await;
        system.kill(victim).await?;
        pause(1_000).await;
        system.start_again(victim).await?;
    }
    for talk in try_join_all(talks).await? {
        talk?;
    }
    for (person, _) in &people {
        person.has_tokens((7 - EACH) as i64, PATIENCE).await?;
    }
    // Each query server alone shows the same as before, with every message and reply in its place.
    let mut stored = Vec::new();
    for (person, counsel) in &people {
        stored.push(person.messages_within(counsel, PATIENCE).await?);
    }
    for name in QUERY_SERVERS {
        is_ready(&mut system, name).await?;
    }
    system.kill(SERVICE).await?;
    for gateway in GATEWAYS {
        let base = system.base_of(gateway)?;
        for ((person, counsel), stored) in people.iter().zip(&stored) {
            let read = person.at(&base).messages_within(counsel, PATIENCE).await?;
            ensure!(read == *stored, "{gateway} shows other messages: {read:?} {stored:?}");
        }
    }
    Ok(())
}

pub(crate) async fn fills_redis_again(postgres: &'static Postgres, kafka: Kafka, redis: Redis) -> Result<()> {
    let mut system = started(postgres, &kafka, &redis).await?;
    let (kim, counsel) = conversation(&system, GATEWAYS[0]).await?;
    for n in 0..2 {
        kim.send_message_until_accepted(&counsel, &format!("말 {n}"), &format!("key-{n}"), PATIENCE).await?;
    }
    redis.kill()?;
    let read = kim.messages_within(&counsel, PATIENCE).await.context("reads without Redis do not fall back")?;
    ensure!(read.len() == 5, "{read:?}");
    kim.send_message_until_accepted(&counsel, "말 2", "key-2", PATIENCE).await?;
    system.kill(SERVICE).await?;
    let refused = kim.ask(Method::GET, &format!("{counsel}/messages"), None, None).await?;
    ensure!(is_put_off(&refused), "a read without Redis and without the service: {refused:?}");

    system.start_again(SERVICE).await?;
    redis.start_again()?; // its memory is empty
    // A read is answered by the service, or by a query server whose views are filled.
    for _ in 0..20 {
        let read = kim.messages_within(&counsel, PATIENCE).await?;
        ensure!(read.len() == 7, "a read while the views are being filled: {read:?}");
    }
    for name in QUERY_SERVERS {
        is_ready(&mut system, name).await?;
    }
    system.kill(SERVICE).await?;
    for gateway in GATEWAYS {
        let kim = kim.at(&system.base_of(gateway)?);
        let read = kim.messages_within(&counsel, PATIENCE).await.with_context(|| gateway.to_owned())?;
        ensure!(read.len() == 7, "{gateway}: {read:?}");
        ensure!(counsels(&kim).await? == [id_of(&counsel)].into(), "{gateway} lists other counsels");
    }
    Ok(())
}

async fn started(postgres: &Postgres, kafka: &Kafka, redis: &Redis) -> Result<Deployment> {
    let mut system = Deployment::with_queries(postgres, kafka, redis).await?;
    for name in QUERY_SERVERS {
        is_ready(&mut system, name).await?;
    }
    Ok(system)
}
/// Waits until a query server has filled its views.
async fn is_ready(system: &mut Deployment, name: &str) -> Result<()> {
    let began = Instant::now();
    loop {
        let health = system.ask(name, "/health/ready").await;
        if matches!(health, Ok((200, _))) {
            return Ok(());
        }
        ensure!(began.elapsed() < PATIENCE, "{name} is not ready: {health:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
/// Begins a conversation over a gateway and returns the person and the path of the counsel.
async fn conversation(system: &Deployment, gateway: &str) -> Result<(Person, String)> {
    let person = Person::visit(&system.base_of(gateway)?).await?.reading_own_writes();
    let counsel = person.open_counsel(&person.a_counselor().await?).await?;
    Ok((person, counsel))
}
/// Sends messages, and reads all of them after each one.
async fn talk(person: Person, counsel: String) -> Result<()> {
    for n in 0..EACH {
        person.send_message_until_accepted(&counsel, &format!("말 {n}"), &format!("key-{n}"), PATIENCE).await?;
        let messages = person.messages_within(&counsel, PATIENCE).await?;
        ensure!(messages.len() == 3 + 2 * n, "expected each message and its reply once: {messages:?}");
        for sent in 0..=n {
            ensure!(messages[1 + 2 * sent] == (true, format!("말 {sent}")), "message {sent}: {messages:?}");
        }
        pause(800).await;
    }
    Ok(())
}
/// Returns the ids of a person's counsels.
async fn counsels(person: &Person) -> Result<BTreeSet<String>> {
    let all = person.get("/v1/counselors/all/counsels").await?;
    let all = all["counsels"].as_array().context("no counsels")?;
    all.iter().map(|counsel| Ok(counsel["id"].as_str().context("no id")?.to_owned())).collect()
}
/// Returns the id at the end of a counsel's path.
fn id_of(counsel: &str) -> String {
    counsel.rsplit('/').next().unwrap_or_default().to_owned()
}
/// Returns whether a read is refused for a time, and says when to repeat it.
fn is_put_off(reply: &Reply) -> bool {
    reply.status == 503 && reply.retry_after.is_some()
}
async fn pause(most: u64) {
    tokio::time::sleep(Duration::from_millis(fastrand::u64(0..most))).await;
}
