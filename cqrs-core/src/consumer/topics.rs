//! Compares the topics that a service reads with those to which its checkpoints belong, and records lost records.
use crate::{
    error::Fault,
    runtime::Runtime,
    transport::{Partition, lost_records},
};
use std::ops::Range;

/// The prefix of the notes with the identities of topics. The value is `<generation> <identity>`.
const TOPIC: &str = "topic/";
/// The prefix of the notes about lost records, `lost/<topic>/<part>/<group>`. The value is `<start> <end>`.
const LOST: &str = "lost/";

/// The result of accepting a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct AcceptedTopic {
    /// Set when the topic was another one. Its readers begin at its first record.
    pub was_refused: bool,
    /// The number of partitions and groups whose lost records were accepted.
    pub lost: usize,
}

/// Compares the topics with those that were read before. A topic that is read for the first time is recorded, and one that
/// does not exist is reported until its owner has created it.
pub(crate) async fn compare_topics(runtime: &Runtime, topics: &[&str]) -> Result<(), Fault> {
    let found = runtime.transport.topic_identities(topics).await.map_err(unreachable)?;
    let unidentified = topics.iter().zip(&found).filter(|(_, identity)| identity.is_none());
    let unidentified: Vec<&str> = unidentified.map(|(topic, _)| *topic).collect();
    let missing = match unidentified.is_empty() {
        true => Vec::new(),
        false => runtime.transport.missing_topics(&unidentified).await.map_err(unreachable)?,
    };
    for topic in topics {
        report_missing(runtime, topic, missing.iter().any(|missing| missing == topic));
    }
    if found.iter().all(Option::is_none) {
        return Ok(());
    }
    let notes = runtime.storage.notes(TOPIC).await?;
    for (topic, identity) in topics.iter().zip(found) {
        let Some(identity) = identity else { continue };
        let name = format!("{TOPIC}{topic}");
        let stored = notes.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone());
        let stored = match stored {
            Some(stored) => stored,
            None => first_seen(runtime, &name, &identity).await?,
        };
        let (generation, known) = parse(&stored)?;
        if runtime.topics.set(topic, generation, known != identity) {
            tracing::error!(
                service = runtime.service,
                topic,
                known,
                found = identity,
                "a topic is not the one that was read before; nothing is read from it until an operator accepts it"
            );
        }
    }
    Ok(())
}
fn report_missing(runtime: &Runtime, topic: &str, missing: bool) {
    let service = &runtime.service;
    match (runtime.topics.set_missing(topic, missing), missing) {
        (false, _) => {}
        (true, true) => tracing::warn!(service, topic, "a topic does not exist yet; its owner creates it"),
        (true, false) => tracing::info!(service, topic, "a topic that did not exist exists now"),
    }
}
async fn first_seen(runtime: &Runtime, name: &str, identity: &str) -> Result<String, Fault> {
    let value = format!("0 {identity}");
    if runtime.storage.replace_note(name, None, Some(&value)).await? {
        return Ok(value);
    }
    // Another process was faster.
    let notes = runtime.storage.notes(name).await?;
    let stored = notes.into_iter().find(|(known, _)| known == name);
    stored.map(|(_, value)| value).ok_or_else(|| Fault::unavailable(format!("the note {name} was just removed")))
}
fn parse(value: &str) -> Result<(u64, &str), Fault> {
    let parsed = value.split_once(' ').and_then(|(generation, rest)| Some((generation.parse().ok()?, rest)));
    parsed.ok_or_else(|| Fault::internal("a stored note on a topic cannot be read"))
}
fn unreachable(error: crate::transport::TransportError) -> Fault {
    Fault::unavailable("the broker cannot be reached").because(error)
}

/// Records that the broker has dropped records of a partition before a group has read them.
pub(crate) async fn record_loss(
    runtime: &Runtime,
    group: &str,
    partition: &Partition,
    offsets: &Range<u64>,
) -> Result<(), Fault> {
    let Partition { topic, part } = partition;
    let name = format!("{LOST}{topic}/{part}/{group}");
    let stored = runtime.storage.notes(&name).await?.into_iter().find(|(known, _)| *known == name);
    let stored = stored.map(|(_, value)| value);
    // Losses that nobody has accepted yet are shown as one.
    let start = match &stored {
        Some(stored) => parse(stored)?.0.min(offsets.start),
        None => offsets.start,
    };
    let value = format!("{start} {}", offsets.end);
    if !runtime.storage.replace_note(&name, stored.as_deref(), Some(&value)).await? {
        return Err(Fault::unavailable("another process has recorded a loss at the same time"));
    }
    let records = offsets.end - offsets.start;
    runtime.meter.lost(group, topic, records);
    tracing::error!(
        service = runtime.service,
        group,
        %partition,
        from = offsets.start,
        records,
        "the broker has dropped records before they were read; accept the loss when it is dealt with"
    );
    read_losses(runtime).await
}
/// Reads the losses that were not accepted yet, of all processes of the service.
pub(crate) async fn read_losses(runtime: &Runtime) -> Result<(), Fault> {
    let notes = runtime.storage.notes(LOST).await?;
    let sentence = |(name, value): (String, String)| {
        let mut parts = name.strip_prefix(LOST)?.splitn(3, '/');
        let (topic, part, group) = (parts.next()?, parts.next()?, parts.next()?);
        let (start, end) = value.split_once(' ')?;
        let partition = Partition { topic: topic.to_owned(), part: part.to_owned() };
        Some(lost_records(group, &partition, &(start.parse().ok()?..end.parse().ok()?)))
    };
    runtime.topics.set_lost(notes.into_iter().filter_map(sentence).collect());
    Ok(())
}

/// Accepts the topic that exists now, and the loss of records of it. A broker that gives topics no identity has losses only.
pub(crate) async fn accept(runtime: &Runtime, topic: &str, groups: &[&str]) -> Result<AcceptedTopic, Fault> {
    let found = runtime.transport.topic_identities(&[topic]).await.map_err(unreachable)?.pop().flatten();
    let losses = runtime.storage.notes(&format!("{LOST}{topic}/")).await?;
    let was_refused = match found {
        Some(found) => accept_identity(runtime, topic, &found, groups).await?,
        None if losses.is_empty() => {
            return Err(Fault::internal(format!("topic {topic} does not exist, or has no identity")));
        }
        None => false,
    };
    let mut lost = 0;
    for (name, value) in losses {
        lost += usize::from(runtime.storage.replace_note(&name, Some(&value), None).await?);
    }
    compare_topics(runtime, &[topic]).await?;
    read_losses(runtime).await?;
    Ok(AcceptedTopic { was_refused, lost })
}
/// Records the identity as the one that is read, and returns whether it was refused before.
async fn accept_identity(runtime: &Runtime, topic: &str, found: &str, groups: &[&str]) -> Result<bool, Fault> {
    let name = format!("{TOPIC}{topic}");
    let stored = runtime.storage.notes(&name).await?.into_iter().find(|(known, _)| *known == name);
    let Some((_, stored)) = stored else { return Ok(false) };
    let (generation, known) = parse(&stored)?;
    if known == found {
        return Ok(false);
    }
    // The groups first: after a failure in between, the topic is still refused.
    for group in groups {
        runtime.transport.rewind(group, topic).await.map_err(|error| {
            Fault::unavailable(format!("group {group} cannot be set back; it is empty soon")).because(error)
        })?;
    }
    let value = format!("{} {found}", generation + 1);
    if !runtime.storage.replace_note(&name, Some(&stored), Some(&value)).await? {
        return Err(Fault::unavailable("another operator has accepted the topic at the same time"));
    }
    Ok(true)
}
