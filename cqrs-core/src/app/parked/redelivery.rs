//! Redelivery and discard of parked messages, in the order of their key. Each act appends an audit event to the log.
use super::{
    attempts::Session,
    audit::{self, Act},
};
use crate::{
    app::ParkedMessages,
    consumer::{Follower, handle, parking::permanent},
    error::{BoxError, Fault},
    event::{Entry, RawEvent},
    metadata::Metadata,
    position::Position,
    storage::{Batch, CommitError, Parked, ReadLimit},
    transport::envelope,
};
use uuid::Uuid;

/// The result of a redelivery or of a dry run.
#[derive(Debug)]
#[non_exhaustive]
pub struct Redelivery {
    /// The number of handled messages; in a dry run, of the messages that would be tried.
    pub count: u64,
    /// The first 1,000 of these messages, in order.
    pub done: Vec<Redelivered>,
    /// The message at which it stopped, and the error. That message and the later ones of its key stay parked.
    pub stopped: Option<(Redelivered, BoxError)>,
}
/// A parked message in the result of a redelivery.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Redelivered {
    /// The message's number, by which [`discard`](ParkedMessages::discard) takes it.
    pub number: u64,
    /// The message's id.
    pub message: Uuid,
    /// The event's name; `None` for the message at which it stopped.
    pub name: Option<String>,
}

impl Redelivery {
    fn new() -> Self {
        Redelivery { count: 0, done: Vec::new(), stopped: None }
    }
    fn add(&mut self, parked: &Parked, name: &str) {
        self.count += 1;
        if self.done.len() < LISTED {
            self.done.push(redelivered(parked, Some(name.to_owned())));
        }
    }
}

/// The number of messages that a dry run reads at once.
const PAGE: usize = 100;
/// The largest number of handled messages that a result lists.
const LISTED: usize = 1_000;

impl ParkedMessages {
    /// Reads every parked message of the key and returns what a redelivery would try, without handling anything.
    ///
    /// # Errors
    /// Fails when the database fails.
    pub async fn dry_run(&self, reader: &str, key: &str) -> Result<Redelivery, Fault> {
        let mut result = Redelivery::new();
        let mut after = 0;
        loop {
            let page = self.show(reader, key, after, PAGE).await?;
            let Some(last) = page.last() else { return Ok(result) };
            after = last.number;
            for parked in &page {
                match self.work(reader, parked).await {
                    Ok(work) => result.add(parked, &work.name()),
                    Err(CommitError::Fault(fault)) if fault.is_transient() => return Err(fault),
                    Err(rejected) => {
                        result.stopped = Some((redelivered(parked, None), rejected.into()));
                        return Ok(result);
                    }
                }
            }
        }
    }
    /// Handles the parked messages of the key again, in order, and stops at the first that fails.
    ///
    /// Each message's effect and its removal are committed in one batch. Messages of the key that arrive meanwhile are
    /// parked behind them and are handled as well. A message with which processes have ended before is tried all the same.
    ///
    /// # Errors
    /// Fails when the database fails.
    pub async fn redeliver(&self, reader: &str, key: &str, by: &Metadata) -> Result<Redelivery, Fault> {
        let session = self.session().await?;
        let result = self.redeliver_key(&session, reader, key, by, true).await;
        session.end().await;
        result
    }
    /// Does the same. Without `forced`, it stops at a message with which processes have died too often.
    pub(in crate::app) async fn redeliver_key(
        &self,
        session: &Session,
        reader: &str,
        key: &str,
        by: &Metadata,
        forced: bool,
    ) -> Result<Redelivery, Fault> {
        let (mut result, mut after) = (Redelivery::new(), 0);
        // Reading after the last one passes over no removed rows that the database has not cleaned up yet.
        while let Some(parked) = self.show(reader, key, after, 1).await?.pop() {
            match self.redeliver_one(session, reader, key, &parked, by, forced).await {
                Ok(name) => {
                    result.add(&parked, &name);
                    after = parked.number;
                }
                Err(CommitError::Fault(fault)) if fault.is_transient() => return Err(fault),
                Err(rejected) => {
                    result.stopped = Some((redelivered(&parked, None), rejected.into()));
                    break;
                }
            }
        }
        Ok(result)
    }
    /// Removes one parked message without handling it. This reader never handles it; the log records the operator and
    /// the reason.
    ///
    /// Returns `false` when the message is not parked (any more).
    ///
    /// # Errors
    /// Fails when the database fails.
    pub async fn discard(&self, reader: &str, key: &str, number: u64, why: &str, by: &Metadata) -> Result<bool, Fault> {
        let found = self.show(reader, key, number.saturating_sub(1), 1).await?.pop();
        let Some(parked) = found.filter(|parked| parked.number == number) else { return Ok(false) };
        let event = audit::event(&self.app, Act::Discarded { why }, reader, key, &parked, by)?;
        let batch = Batch { unparks: vec![number], events: vec![event], ..Batch::default() };
        match self.app.storage().commit(batch).await {
            Ok(_) => {
                // What stays after an error is only that later redeliveries store their attempts.
                if let Ok(Some(session)) = self.try_session().await {
                    session.handled(reader, parked.message).await;
                    session.end().await;
                }
                Ok(true)
            }
            Err(CommitError::Moved(_)) => Ok(false),
            Err(CommitError::Fault(fault)) => Err(fault),
            Err(rejected) => Err(Fault::internal("the parked message could not be discarded").because(rejected)),
        }
    }

    /// Handles one parked message, commits its effect together with its removal, and returns the event's name.
    pub(super) async fn redeliver_one(
        &self,
        session: &Session,
        reader: &str,
        key: &str,
        parked: &Parked,
        by: &Metadata,
        forced: bool,
    ) -> Result<String, CommitError> {
        let refused = "the message is not tried again; redeliver its key alone to try it all the same";
        let begun = session.begin(reader, parked.message, forced).await;
        // Before the record is decoded, since the decoder can be what ends the process.
        let trying = begun.map_err(|error| match error.downcast::<Fault>() {
            Ok(fault) => *fault,
            Err(ended) => Fault::internal(refused).because(ended),
        })?;
        let handling = async {
            let work = self.work(reader, parked).await?;
            let name = work.name();
            self.handle_again(reader, key, parked, work, by).await.map(|()| name)
        };
        let handled = match &trying {
            Some(trying) => trying.kept_alive(handling).await,
            None => handling.await,
        };
        drop(trying);
        if handled.is_ok() {
            session.handled(reader, parked.message).await;
        }
        handled
    }
    /// Finds what has to be done for a parked message.
    async fn work(&self, reader: &str, parked: &Parked) -> Result<Work, CommitError> {
        if reader.starts_with("relay/") {
            return Ok(Work::Publish(Box::new(self.entry(parked).await?)));
        }
        let event = match &parked.record {
            Some(record) => {
                let message = self.app.runtime.decoders.read(record).message;
                let unreadable = |error| Fault::internal("the record cannot be read").because(permanent(error));
                let message = message.map_err(unreadable)?;
                let mut message =
                    message.ok_or_else(|| unhandled("the decoder of the topic skips the record now".to_owned()))?;
                self.app.runtime.open_messages(std::iter::once(&mut message)).await?;
                message
            }
            None => {
                let entry = self.entry(parked).await?;
                let known = self.app.runtime.event_versions.get(&*entry.name);
                if let Some(known) = known.filter(|known| entry.schema > **known) {
                    let Entry { name, schema, .. } = &entry;
                    let newer = format!("event {name} has version {schema}, and this program reads up to {known}");
                    return Err(unhandled(newer).into());
                }
                envelope::from_log(entry)
            }
        };
        let follower = self.app.follower_of(reader);
        let subscribers: Vec<_> =
            self.app.subscribers().filter(|subscriber| is_reader_of(subscriber.group, reader)).collect();
        let group = subscribers.first().map(|first| Follower::Group(first.group, subscribers.clone().into()));
        match follower.or(group).filter(|follower| follower.handles(&event.name)) {
            Some(follower) => Ok(Work::Handle(follower, Box::new(event))),
            None => {
                let name = &event.name;
                Err(unhandled(format!("this service has no handler for {name} as reader {reader}")).into())
            }
        }
    }
    async fn entry(&self, parked: &Parked) -> Result<Entry, CommitError> {
        let position = Position(parked.at);
        let mut found =
            self.app.storage().log(Position(parked.at.saturating_sub(1)), position, ReadLimit::entries(1)).await?;
        self.app.storage().decrypt(&mut found).await?;
        let entry = found.into_iter().next();
        Ok(entry.ok_or_else(|| Fault::internal(format!("the log has no entry at position {} any more", position.0)))?)
    }
    async fn handle_again(
        &self,
        reader: &str,
        key: &str,
        parked: &Parked,
        work: Work,
        by: &Metadata,
    ) -> Result<(), CommitError> {
        let runtime = &self.app.runtime;
        let event = audit::event(&self.app, Act::Redelivered, reader, key, parked, by)?;
        let base = Batch { unparks: vec![parked.number], events: vec![event], ..Batch::default() };
        match work {
            Work::Publish(mut entry) => {
                let outgoing =
                    entry.outgoing.take().ok_or_else(|| Fault::internal("the outgoing message was purged"))?;
                let record = envelope::record(&entry, outgoing, &runtime.service, None);
                if let Err(error) = runtime.transport.publish_parked(&record).await {
                    return Err(Fault::internal("the broker did not accept the record").because(error).into());
                }
                runtime.storage.commit(base).await.map(drop)
            }
            // The subscriber runs alone, not as its group's follower, because a redelivery moves no checkpoint.
            Work::Handle(Follower::Group(_, subscribers), event) => {
                let subscriber = subscribers.iter().find(|subscriber| subscriber.source.handles(&event.name));
                let subscriber =
                    subscriber.ok_or_else(|| Fault::internal("no subscriber of the group handles the event"))?;
                handle(runtime, subscriber, *event, base, None).await
            }
            Work::Handle(follower, event) => follower.apply(runtime, vec![*event], base).await,
        }
    }
}

enum Work {
    /// Publish the entry to the broker.
    Publish(Box<Entry>),
    /// Pass the event to a subscriber or a projection.
    Handle(Follower, Box<RawEvent>),
}
impl Work {
    fn name(&self) -> String {
        match self {
            Work::Publish(entry) => {
                entry.outgoing.as_ref().map_or_else(|| entry.name.clone(), |outgoing| outgoing.name.clone())
            }
            Work::Handle(_, event) => event.name.clone(),
        }
    }
}

/// Returns whether a group parks its messages under this reader: the group's name on topics, the name of its checkpoint
/// on the log.
fn is_reader_of(group: &str, reader: &str) -> bool {
    reader == group || reader.strip_prefix("subscriber/") == Some(group)
}

/// Returns the error of a message that this program can never handle.
fn unhandled(message: String) -> Fault {
    let instruction = "start a program that handles it and redeliver it, or discard it to go on";
    Fault::internal(message).because(permanent(instruction))
}

fn redelivered(parked: &Parked, name: Option<String>) -> Redelivered {
    Redelivered { number: parked.number, message: parked.message, name }
}
