//! The REST operations as callers of a system: read, update, first visit, message.
use crate::{
    person::{Api, MESSAGES, Person},
    subject::{Caller, Counters, Payload, Subject},
    system::System,
};
use anyhow::{Context, Result};
use async_trait::async_trait;
use std::sync::Arc;

/// A REST operation that a caller repeats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    /// `GET /v1/users/me`
    Read,
    /// `PUT /v1/users/me`
    Update,
    /// `POST /v1/auth/initiate`
    FirstVisit,
    /// `POST /v1/counselors/{counselor}/counsels/{counsel}/messages`
    Message,
}
impl Operation {
    pub(crate) const ALL: [Operation; 4] =
        [Operation::Read, Operation::Update, Operation::FirstVisit, Operation::Message];
    /// Returns the operation's part of a row's name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Operation::Read => "read",
            Operation::Update => "update",
            Operation::FirstVisit => "first-visit",
            Operation::Message => "message",
        }
    }
}

/// One operation on one running system.
pub(crate) struct Rest {
    pub(crate) system: Arc<System>,
    pub(crate) operation: Operation,
}
#[async_trait]
impl Subject for Rest {
    fn name(&self) -> &'static str {
        self.system.name()
    }
    async fn callers(&self, count: usize, calls: u64) -> Result<Vec<Box<dyn Caller>>> {
        let mut callers: Vec<Box<dyn Caller>> = Vec::new();
        for _ in 0..count {
            callers.push(Box::new(RestCaller::new(self.system.api(), self.operation, calls).await?));
        }
        Ok(callers)
    }
    async fn counters(&self) -> Result<Counters> {
        self.system.counters().await
    }
    async fn payload(&self) -> Result<Option<Payload>> {
        let (mut person, first) = Person::visit_sized(self.system.api()).await?;
        let reply = match self.operation {
            Operation::FirstVisit => first,
            Operation::Read => person.read().await?,
            Operation::Update => person.update().await?,
            Operation::Message => {
                person.consent().await?;
                person.open_counsel().await?;
                person.send_message().await?
            }
        };
        Ok(Some(Payload { request: reply.sent, response: reply.received }))
    }
}

struct RestCaller {
    api: Api,
    operation: Operation,
    /// One person, or several for messages: a wallet pays for a few messages only.
    people: Vec<Person>,
    calls: u64,
}
impl RestCaller {
    async fn new(api: &Api, operation: Operation, calls: u64) -> Result<RestCaller> {
        let people = match operation {
            Operation::FirstVisit => 0,
            Operation::Read | Operation::Update => 1,
            Operation::Message => calls.div_ceil(MESSAGES),
        };
        let mut caller = RestCaller { api: api.clone(), operation, people: Vec::new(), calls: 0 };
        for _ in 0..people {
            let mut person = Person::visit(api).await?;
            if operation == Operation::Message {
                person.consent().await?;
                person.open_counsel().await?;
            }
            caller.people.push(person);
        }
        Ok(caller)
    }
}
#[async_trait]
impl Caller for RestCaller {
    async fn call(&mut self) -> Result<()> {
        if self.operation == Operation::FirstVisit {
            return Person::visit(&self.api).await.map(drop);
        }
        // People take turns, so that a message does not wait for the background work of the same person's last one.
        let count = self.people.len() as u64;
        let person = self.people.get_mut((self.calls % count.max(1)) as usize).context("no person was prepared")?;
        self.calls += 1;
        match self.operation {
            Operation::Read => person.read().await.map(drop),
            Operation::Update => person.update().await.map(drop),
            _ => person.send_message().await.map(drop),
        }
    }
}
