//! What is simulated: a shop whose accounts are credited, what it does with its own events, and a bank that hears of them. Every
//! effect keeps the numbers it saw, in order.
use super::machine::{MILLI, Machine, Micros};
use cqrs_core::{
    Aggregate, BoxError, Bus, Change, Command, Contract, Dep, Event, Evolve, Heard, IntoEvents, Never, Recorded, Repo,
    Result, Source, View, handler, projection, publish, subscriber,
};
use serde::{Deserialize, Serialize};
use std::{cell::RefCell, sync::Arc};

/// Makes subscribers slow, and fail, while the schedule is not calm.
pub(crate) struct Strikes {
    pub(crate) machine: Machine,
    /// One in this many; 0 is none.
    pub(crate) rate: u32,
    pub(crate) poison: Arc<Poison>,
}
impl Strikes {
    async fn strike(&self, number: u32) -> std::result::Result<(), BoxError> {
        if self.poison.hits(number, Hit::Handler) {
            return Err("simulated: it never works".into());
        }
        if self.rate == 0 || self.machine.is_calm() || !self.machine.one_in(self.rate) {
            return Ok(());
        }
        self.machine.sleep(self.machine.one_of(&[MILLI, 100 * MILLI, 4_000 * MILLI])).await;
        if self.machine.one_in(2) { Err("simulated: it does not want to".into()) } else { Ok(()) }
    }
}

/// What one command causes cannot be handled, until it is cured.
pub(crate) struct Poison {
    pub(crate) machine: Machine,
    pub(crate) hit: Hit,
    pub(crate) command: u32,
    pub(crate) cured_at: Micros,
}
/// By whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hit {
    Nobody,
    /// Subscribers fail.
    Handler,
    /// The bytes cannot be read.
    Reader,
    /// The broker refuses the record for good.
    Broker,
}
impl Poison {
    pub(crate) fn hits(&self, number: u32, whom: Hit) -> bool {
        self.hit == whom && number / 10 == self.command && self.machine.now() < self.cured_at
    }
}
thread_local! {
    /// Decoding is given nothing but bytes; a schedule has its thread for itself.
    pub(crate) static UNREADABLE: RefCell<Option<Arc<Poison>>> = const { RefCell::new(None) };
}

/// What happened to one account, with the number of the command that did it: every kind of event here looks like this.
macro_rules! kept {
    ($name:literal, $event_name:literal, $aggregate:ident, $event:ident) => {
        #[derive(Debug, Clone, Serialize, Deserialize, Event)]
        #[event(name = $event_name, version = 1)]
        pub(crate) struct $event {
            pub(crate) id: String,
            pub(crate) number: u32,
        }
        #[derive(Debug, Clone, Serialize, Deserialize, Aggregate)]
        #[aggregate(name = $name, event = $event)]
        pub(crate) struct $aggregate {
            #[id]
            pub(crate) id: String,
            count: u32,
        }
        impl Evolve<$event> for $aggregate {
            fn create(event: &$event) -> Option<Self> {
                Some($aggregate { id: event.id.clone(), count: 1 })
            }
            fn apply(&mut self, _: &$event) {
                self.count += 1;
            }
        }
    };
}
kept!("account", "credited", Account, Credited);
kept!("trail", "shop.trail", Trail, Trailed);
kept!("ledger", "bank.book", Ledger, Booked);
kept!("note", "bank.note", Notes, Noted);

/// Appends to what is there, or begins it.
async fn append<A: Aggregate<Id = String>>(
    all: &Repo<A>,
    id: &String,
    events: impl IntoEvents<A::Event>,
) -> std::result::Result<(), cqrs_core::Error<Never>> {
    if all.find(id).await?.is_some() {
        all.update(id, |_| Ok(events)).await?;
    } else {
        all.create(events)?;
    }
    Ok(())
}

pub(crate) mod shop {
    use super::{Account, Command, Credited, Deserialize, Never, Repo, Result, Serialize, Told, handler, publish};

    /// Credits an account, with one event or a few.
    #[derive(Debug, Clone, Serialize, Deserialize, Command)]
    pub(crate) struct Credit {
        pub(crate) id: String,
        pub(crate) command: u32,
        pub(crate) events: u32,
    }
    #[handler]
    async fn credit(command: Credit, accounts: Repo<Account>) -> Result<u32, Never> {
        let Credit { id, command, events } = command;
        let event = |n| Credited { id: id.clone(), number: command * 10 + n };
        super::append(&accounts, &id, (0..events).map(event).collect::<Vec<_>>()).await?;
        Ok(command)
    }
    #[publish]
    fn told(event: &Credited) -> Option<Told> {
        let Credited { id, number } = event.clone();
        Some(Told { id, number })
    }
}

/// What the bank is told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Told {
    pub(crate) id: String,
    pub(crate) number: u32,
}
impl Contract for Told {
    const NAME: &'static str = "shop.credited.v1";
    const TOPIC: &'static str = "shop.v1";
    fn key(&self) -> String {
        self.id.clone()
    }
    fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("it is plain data")
    }
    fn decode(bytes: &[u8]) -> std::result::Result<Self, BoxError> {
        let told: Told = serde_json::from_slice(bytes)?;
        let hit = UNREADABLE.with_borrow(|it| it.as_ref().is_some_and(|it| it.hits(told.number, Hit::Reader)));
        if hit { Err("simulated: it cannot be read".into()) } else { Ok(told) }
    }
}
impl Heard for Told {
    const SOURCE: Source = Source::Topic { topic: Told::TOPIC, name: Told::NAME };
    fn decode(_: &str, _: u32, bytes: &[u8]) -> std::result::Result<Self, BoxError> {
        <Told as Contract>::decode(bytes)
    }
}

/// The shop's own log into a view.
pub(crate) mod tally {
    use super::{Change, Credited, Deserialize, Serialize, View, projection};
    #[derive(Debug, Clone, Default, Serialize, Deserialize, View)]
    #[view(name = "tally", key = String)]
    pub(crate) struct Tally {
        numbers: Vec<u32>,
    }
    #[projection(name = "tally")]
    fn tally(event: &Credited) -> Change<Tally> {
        let Credited { id, number } = event.clone();
        Change::none().and(id, move |found: Option<Tally>| {
            let mut tally = found.unwrap_or_default();
            tally.numbers.push(number);
            Some(tally)
        })
    }
}
/// The shop's own log into another aggregate.
pub(crate) mod trail {
    use super::{BoxError, Credited, Dep, Recorded, Repo, Strikes, Trail, Trailed, append, subscriber};
    #[subscriber(group = "shop.trail")]
    async fn trail(event: Recorded<Credited>, trails: Repo<Trail>, strikes: Dep<Strikes>) -> Result<(), BoxError> {
        let Credited { id, number } = event.event;
        strikes.strike(number).await?;
        Ok(append(&trails, &id.clone(), Trailed { id, number }).await?)
    }
}
/// The topic into an aggregate: the effect and the mark are one batch.
pub(crate) mod book {
    use super::{Booked, BoxError, Dep, Ledger, Recorded, Repo, Strikes, Told, append, subscriber};
    #[subscriber(group = "bank.book")]
    async fn book(event: Recorded<Told>, ledgers: Repo<Ledger>, strikes: Dep<Strikes>) -> Result<(), BoxError> {
        let Told { id, number } = event.event;
        strikes.strike(number).await?;
        Ok(append(&ledgers, &id.clone(), Booked { id, number }).await?)
    }
}
/// The topic into a command: it commits by itself, before the mark.
pub(crate) mod note {
    use super::{
        BoxError, Bus, Command, Dep, Deserialize, Never, Noted, Notes, Recorded, Repo, Serialize, Strikes, Told,
        append, handler, subscriber,
    };
    #[derive(Debug, Clone, Serialize, Deserialize, Command)]
    pub(crate) struct Note {
        id: String,
        number: u32,
    }
    #[handler]
    async fn note(command: Note, notes: Repo<Notes>) -> cqrs_core::Result<(), Never> {
        let Note { id, number } = command;
        append(&notes, &id.clone(), Noted { id, number }).await
    }
    #[subscriber(group = "bank.note")]
    async fn noted(event: Recorded<Told>, bus: Bus, strikes: Dep<Strikes>) -> Result<(), BoxError> {
        let Told { id, number } = event.event;
        bus.send(Note { id, number }).await?;
        strikes.strike(number).await
    }
}
/// The topic into a view.
pub(crate) mod mirror {
    use super::{Change, Deserialize, Serialize, Told, View, projection};
    #[derive(Debug, Clone, Default, Serialize, Deserialize, View)]
    #[view(name = "bank.mirror", key = String)]
    pub(crate) struct Mirror {
        numbers: Vec<u32>,
    }
    #[projection(name = "mirror")]
    fn mirror(event: &Told) -> Change<Mirror> {
        let Told { id, number } = event.clone();
        Change::none().and(id, move |found: Option<Mirror>| {
            let mut mirror = found.unwrap_or_default();
            mirror.numbers.push(number);
            Some(mirror)
        })
    }
}
