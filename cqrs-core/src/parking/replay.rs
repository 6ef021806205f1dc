//! Replaying and discarding what is parked: in its key's order, each act with an event in the log that says who.
use super::{ParkedMessages, act};
use crate::{
    BoxError, Fault, Metadata, Position, Recorded,
    app::Raw,
    batch::{Batch, Entry, Rejected},
    envelope,
    projection::{Follower, handle},
    storage::Parked,
    transport::Audience,
};
use uuid::Uuid;

/// What became of a replay.
#[derive(Debug)]
pub struct Replay {
    /// What was handled, in order; in a dry run, what would be tried.
    pub done: Vec<Replayed>,
    /// Why it stopped, and at which message: that one and what comes after it stay parked.
    pub stopped: Option<(Replayed, BoxError)>,
}
/// One parked message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replayed {
    /// Its number.
    pub number: u64,
    /// Its id.
    pub message: Uuid,
    /// Its name, if it can be read.
    pub name: Option<String>,
}

/// How many are read at once.
const PAGE: usize = 100;

impl ParkedMessages {
    /// Reads every message of the key and says what a replay would try, without doing anything.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn rehearse(&self, reader: &str, key: &str) -> Result<Replay, Fault> {
        let mut replay = Replay { done: Vec::new(), stopped: None };
        let mut after = 0;
        loop {
            let page = self.show(reader, key, after, PAGE).await?;
            let Some(last) = page.last() else { return Ok(replay) };
            after = last.number;
            for parked in &page {
                match self.work(reader, parked).await {
                    Ok(work) => replay.done.push(replayed(parked, Some(work.name()))),
                    Err(Rejected::Fault(fault)) if fault.is_transient() => return Err(fault),
                    Err(why) => {
                        replay.stopped = Some((replayed(parked, None), why.into()));
                        return Ok(replay);
                    }
                }
            }
        }
    }
    /// Handles the messages of the key, one after the other, each with its effect and its removal in one batch. What comes meanwhile
    /// waits behind them and is handled as well. At the first that fails it stops.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn replay(&self, reader: &str, key: &str, by: &Metadata) -> Result<Replay, Fault> {
        let mut replay = Replay { done: Vec::new(), stopped: None };
        while let Some(parked) = self.show(reader, key, 0, 1).await?.pop() {
            let done = match self.work(reader, &parked).await {
                Ok(work) => {
                    let name = work.name();
                    self.again(reader, key, &parked, work, by).await.map(|()| name)
                }
                Err(rejected) => Err(rejected),
            };
            match done {
                Ok(name) => replay.done.push(replayed(&parked, Some(name))),
                Err(Rejected::Fault(fault)) if fault.is_transient() => return Err(fault),
                Err(why) => {
                    replay.stopped = Some((replayed(&parked, None), why.into()));
                    break;
                }
            }
        }
        Ok(replay)
    }
    /// Takes one message away without handling it: it is lost for this reader, and the log says who did it and why.
    ///
    /// # Errors
    /// When the database fails; `false` when it is not parked (any more).
    pub async fn discard(&self, reader: &str, key: &str, number: u64, why: &str, by: &Metadata) -> Result<bool, Fault> {
        let found = self.show(reader, key, number.saturating_sub(1), 1).await?.pop();
        let Some(parked) = found.filter(|it| it.number == number) else { return Ok(false) };
        let event = act::discarded(&self.app, reader, key, &parked, why, by)?;
        let batch = Batch { unparks: vec![number], events: vec![event], ..Batch::default() };
        match self.app.storage().commit(batch).await {
            Ok(_) => Ok(true),
            Err(Rejected::Moved(_)) => Ok(false),
            Err(Rejected::Fault(fault)) => Err(fault),
            Err(rejected) => Err(Fault::internal("a parked message cannot be discarded").because(rejected)),
        }
    }

    /// What has to be done for a parked message.
    async fn work(&self, reader: &str, parked: &Parked) -> Result<Work, Rejected> {
        if reader.starts_with("relay/") {
            return Ok(Work::Tell(Box::new(self.entry(parked).await?)));
        }
        let event = match &parked.record {
            Some(record) => envelope::message(record)
                .map_err(|error| Fault::internal("the record cannot be read").because(error))?,
            None => envelope::from_log(self.entry(parked).await?),
        };
        let follower = self.app.followers().map(|(_, it)| it).find(|it| it.reader() == reader);
        let subscribers: Vec<_> = self.app.subscribers().filter(|it| reader_of(it.group, reader)).collect();
        let group = subscribers.first().map(|it| Follower::Group(it.group, subscribers.clone().into()));
        match follower.or(group).filter(|it| it.hears(&event.event.name)) {
            Some(follower) => Ok(Work::Handle(follower, Box::new(event))),
            None => Err(Fault::internal(format!("nothing here hears {} as {reader}", event.event.name)).into()),
        }
    }
    async fn entry(&self, parked: &Parked) -> Result<Entry, Rejected> {
        let at = Position(parked.at);
        let found = self.app.storage().log(Position(parked.at.saturating_sub(1)), at, 1).await?;
        let entry = found.into_iter().next();
        Ok(entry.ok_or_else(|| Fault::internal(format!("the log has no entry at {} any more", at.0)))?)
    }
    async fn again(&self, reader: &str, key: &str, parked: &Parked, work: Work, by: &Metadata) -> Result<(), Rejected> {
        let shared = &self.app.shared;
        let event = act::replayed(&self.app, reader, key, parked, by)?;
        let base = Batch { unparks: vec![parked.number], events: vec![event], ..Batch::default() };
        match work {
            Work::Tell(entry) => {
                let told = entry.told.as_ref().ok_or_else(|| Fault::internal("it is kept no longer"))?;
                let record = envelope::record(&entry, told, &shared.service, None);
                let published = shared.transport.publish(&Audience::broker(), &[record]).await;
                if let Some(error) = published.error {
                    return Err(Fault::internal("the broker did not take the record").because(error).into());
                }
                shared.storage.commit(base).await.map(drop)
            }
            // Alone, and not as one of a group's followers: it keeps no position here.
            Work::Handle(Follower::Group(_, subscribers), event) => {
                let subscriber = subscribers.iter().find(|it| it.source.hears(&event.event.name));
                let subscriber = subscriber.ok_or_else(|| Fault::internal("nothing hears it"))?;
                handle(shared, subscriber, *event, base, None).await
            }
            Work::Handle(follower, event) => follower.apply(shared, vec![*event], base).await,
        }
    }
}

enum Work {
    /// To the broker.
    Tell(Box<Entry>),
    /// To a subscriber or a projection.
    Handle(Follower, Box<Recorded<Raw>>),
}
impl Work {
    fn name(&self) -> String {
        match self {
            Work::Tell(entry) => entry.told.as_ref().map_or_else(|| entry.name.clone(), |told| told.name.clone()),
            Work::Handle(_, event) => event.event.name.clone(),
        }
    }
}

/// Whether a group's messages are parked under this name: on topics the group's own, on the own log its position's.
fn reader_of(group: &str, reader: &str) -> bool {
    reader == group || reader.strip_prefix("subscriber/") == Some(group)
}

fn replayed(parked: &Parked, name: Option<String>) -> Replayed {
    Replayed { number: parked.number, message: parked.message, name }
}
