//! Live queries across the gateway: from a request to the server-sent event about its change.
//!
//! The request is a reaction to a reply, one command with one transaction. Its commit cannot be seen from outside: it is after the
//! request and before the response. So one row measures from the request and contains the whole command, and another one measures
//! from the response and lacks its way back. The time from the commit is between the two.
use crate::{
    events::Events,
    person::{LIKE, MESSAGES, Person},
    subject::{Caller, Counters, Subject},
    system::System,
};
use anyhow::{Context, Result, ensure};
use async_trait::async_trait;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// The time limit of one event.
const LIMIT: Duration = Duration::from_secs(10);

/// The moment at which the time begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Since {
    Request,
    Response,
}
impl Since {
    pub(crate) const ALL: [Since; 2] = [Since::Request, Since::Response];
}

/// The deployed services. Each caller is several people, each with an open stream of the messages of their counsel.
pub(crate) struct LiveEvents {
    pub(crate) system: Arc<System>,
    pub(crate) since: Since,
}
#[async_trait]
impl Subject for LiveEvents {
    fn name(&self) -> &'static str {
        self.system.name()
    }
    async fn callers(&self, count: usize, calls: u64) -> Result<Vec<Box<dyn Caller>>> {
        let mut callers: Vec<Box<dyn Caller>> = Vec::new();
        for _ in 0..count {
            let mut readers = Vec::new();
            for _ in 0..calls.div_ceil(MESSAGES) {
                readers.push(Reader::prepare(&self.system).await?);
            }
            callers.push(Box::new(Readers { readers, since: self.since, calls: 0, after_response: Duration::ZERO }));
        }
        Ok(callers)
    }
    async fn counters(&self) -> Result<Counters> {
        self.system.counters().await
    }
}

/// A person with a counsel, its open stream, and the replies without a reaction.
struct Reader {
    person: Person,
    events: Events,
    replies: Vec<String>,
}
impl Reader {
    async fn prepare(system: &System) -> Result<Reader> {
        let mut person = Person::visit(system.api()).await?;
        person.consent().await?;
        person.open_counsel().await?;
        let mut replies = Vec::new();
        for _ in 0..MESSAGES {
            let exchange = person.send_message().await?;
            let reply = exchange.data["counselorResponseMessage"]["id"].as_str().context("the reply has no id")?;
            replies.push(reply.to_owned());
        }
        let mut events = person.watch_messages().await?;
        let first = events.next().await?;
        ensure!(first["isFirst"] == true, "the first event is not the newest messages: {first}");
        Ok(Reader { person, events, replies })
    }
    /// Reacts to a reply and waits for the event that has the reaction. Returns the time from the response to the event.
    async fn react(&mut self) -> Result<Duration> {
        let reply = self.replies.pop().context("each reply has a reaction")?;
        self.person.react(&reply).await?;
        let answered = Instant::now();
        let has_come = async {
            loop {
                let event = self.events.next().await?;
                let messages = event["counselMessages"].as_array().context("the event has no messages")?;
                if messages.iter().any(|message| message["id"] == *reply && message["reaction"] == LIKE) {
                    return anyhow::Ok(());
                }
            }
        };
        tokio::time::timeout(LIMIT, has_come).await.context("the reaction has not come as an event")??;
        Ok(answered.elapsed())
    }
}

/// People who take turns.
struct Readers {
    readers: Vec<Reader>,
    since: Since,
    calls: usize,
    /// The time from the last response to its event.
    after_response: Duration,
}
#[async_trait]
impl Caller for Readers {
    async fn call(&mut self) -> Result<()> {
        let number = self.calls % self.readers.len().max(1);
        self.calls += 1;
        let reader = self.readers.get_mut(number).context("no person was prepared")?;
        self.after_response = reader.react().await?;
        Ok(())
    }
    fn measured(&self) -> Option<Duration> {
        match self.since {
            Since::Request => None,
            Since::Response => Some(self.after_response),
        }
    }
}
