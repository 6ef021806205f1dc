//! The simulated services: a shop whose accounts are credited, and a bank that subscribes to its events.
//!
//! The shop also handles its own events. Every effect stores the numbers of its events in order.
use super::environment::{MILLI, Micros, SimulatedEnvironment};
use cqrs_core::{
    Aggregate, BoxError, Bus, Change, Command, Dep, Event, Evolve, HandlerResult, Infallible, IntegrationEvent,
    IntoEvents, Recorded, Repo, Source, Subscribable, View, handler, projection, publish, subscriber,
};
use serde::{Deserialize, Serialize};
use std::{cell::RefCell, sync::Arc};

/// Makes subscribers slow and fail while faults are injected.
pub(crate) struct InjectedFailures {
    pub(crate) environment: SimulatedEnvironment,
    /// One in this many calls fails or is slow; 0 is none.
    pub(crate) rate: u32,
    pub(crate) poison: Arc<Poison>,
}
impl InjectedFailures {
    pub(crate) async fn inject(&self, number: u32) -> Result<(), BoxError> {
        if self.poison.affects(number, Target::Handler) {
            return Err("simulated: the message always fails".into());
        }
        if self.rate == 0 || self.environment.is_calm() || !self.environment.one_in(self.rate) {
            return Ok(());
        }
        self.environment.sleep(self.environment.one_of(&[MILLI, 100 * MILLI, 4_000 * MILLI])).await;
        if self.environment.one_in(2) { Err("simulated: a transient failure".into()) } else { Ok(()) }
    }
}

/// A command whose events cannot be handled by the target until they are cured.
pub(crate) struct Poison {
    pub(crate) environment: SimulatedEnvironment,
    pub(crate) target: Target,
    pub(crate) command: u32,
    pub(crate) cured_at: Micros,
}
/// The part that fails on a poisoned event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Target {
    None,
    /// Subscribers fail.
    Handler,
    /// The bytes cannot be decoded.
    Reader,
    /// The broker refuses the record permanently.
    Broker,
}
impl Poison {
    pub(crate) fn affects(&self, number: u32, target: Target) -> bool {
        self.target == target && number / 10 == self.command && self.environment.now() < self.cured_at
    }
}
thread_local! {
    /// The poison for decoding, which gets only bytes. A schedule has its thread for itself while it runs.
    pub(crate) static UNREADABLE: RefCell<Option<Arc<Poison>>> = const { RefCell::new(None) };
}

/// Defines an aggregate with one kind of event, which holds the number of the command that caused it.
macro_rules! numbered {
    ($name:literal, $event_name:literal, $aggregate:ident, $event:ident) => {
        #[derive(Debug, Clone, Serialize, Deserialize, Event)]
        #[event(name = $event_name, version = 1)]
        pub(crate) struct $event {
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
            fn create(id: String, _: &$event) -> Option<Self> {
                Some($aggregate { id, count: 1 })
            }
            fn apply(&mut self, _: &$event) {
                self.count += 1;
            }
        }
    };
}
numbered!("account", "credited", Account, Credited);
numbered!("trail", "shop.trail", Trail, Trailed);
numbered!("ledger", "bank.book", Ledger, Booked);
numbered!("note", "bank.note", Notes, Noted);

/// Updates the aggregate, or creates it if it does not exist.
pub(crate) async fn append<A: Aggregate<Id = String>>(
    all: &Repo<A>,
    id: &String,
    events: impl IntoEvents<A::Event>,
) -> Result<(), cqrs_core::Error<Infallible>> {
    if all.find(id).await?.is_some() {
        all.update(id, |_| Ok(events)).await?;
    } else {
        all.create(id.clone(), events)?;
    }
    Ok(())
}

pub(crate) mod shop {
    use super::{
        Account, AccountCredited, Command, Credited, Deserialize, HandlerResult, Infallible, Recorded, Repo, Serialize,
        handler, publish,
    };

    /// Credits an account, with one event or a few.
    #[derive(Debug, Clone, Serialize, Deserialize, Command)]
    pub(crate) struct Credit {
        pub(crate) id: String,
        pub(crate) command: u32,
        pub(crate) events: u32,
    }
    #[handler]
    async fn credit(command: Credit, accounts: Repo<Account>) -> HandlerResult<u32, Infallible> {
        let Credit { id, command, events } = command;
        let event = |n| Credited { number: command * 10 + n };
        super::append(&accounts, &id, (0..events).map(event).collect::<Vec<_>>()).await?;
        Ok(command)
    }
    #[publish]
    fn credited(event: &Recorded<Credited>) -> Option<AccountCredited> {
        Some(AccountCredited { id: event.aggregate_id.clone(), number: event.number })
    }
}

/// The integration event of the shop.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct AccountCredited {
    pub(crate) id: String,
    pub(crate) number: u32,
}
impl IntegrationEvent for AccountCredited {
    const NAME: &'static str = "shop.credited.v1";
    const TOPIC: &'static str = "shop.v1";
    const CONTENT_TYPE: &'static str = "application/json";
    fn key(&self) -> String {
        self.id.clone()
    }
    fn encode(&self) -> Result<Vec<u8>, BoxError> {
        Ok(serde_json::to_vec(self)?)
    }
    fn decode(bytes: &[u8]) -> Result<Self, BoxError> {
        let event: AccountCredited = serde_json::from_slice(bytes)?;
        let unreadable = UNREADABLE
            .with_borrow(|poison| poison.as_ref().is_some_and(|poison| poison.affects(event.number, Target::Reader)));
        if unreadable { Err("simulated: the message cannot be decoded".into()) } else { Ok(event) }
    }
}
impl Subscribable for AccountCredited {
    const SOURCE: Source = Source::Topic {
        topic: AccountCredited::TOPIC,
        name: AccountCredited::NAME,
        content_type: AccountCredited::CONTENT_TYPE,
    };
    type AggregateId = ();
    fn decode(_: &str, _: u32, bytes: &[u8]) -> Result<Self, BoxError> {
        <AccountCredited as IntegrationEvent>::decode(bytes)
    }
    fn aggregate_id(_: &str) -> Result<(), BoxError> {
        Ok(())
    }
}

/// The topic of the messages of one account, where there is a broker. The simulated database stores it in place of the
/// publisher's topic.
pub(crate) const TOPIC_ASIDE: &str = "shop.aside.v1";
/// A publisher to the second topic, so that the relay knows it.
pub(crate) mod aside {
    use super::{Credited, Deserialize, IntegrationEvent, Recorded, Serialize, publish};
    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize, IntegrationEvent)]
    #[integration_event(name = "shop.aside.credited.v1", topic = "shop.aside.v1", key = id)]
    pub(crate) struct AccountCreditedAside {
        id: String,
    }
    #[publish]
    fn credited_aside(_: &Recorded<Credited>) -> Option<AccountCreditedAside> {
        None
    }
}

/// An inline projection: each command on an account changes its value.
pub(crate) mod current {
    use super::{Change, Credited, Deserialize, Recorded, Serialize, View, projection};
    #[derive(Debug, Clone, Default, Serialize, Deserialize, View)]
    #[view(name = "current", key = String)]
    pub(crate) struct Current {
        numbers: Vec<u32>,
    }
    #[projection(name = "current", inline)]
    fn current(event: &Recorded<Credited>) -> Change<Current> {
        let number = event.number;
        Change::none().and(event.aggregate_id.clone(), move |found: Option<Current>| {
            let mut current = found.unwrap_or_default();
            current.numbers.push(number);
            Some(current)
        })
    }
}
/// A projection of the shop's own log. It finds the value of every event but the first by an index.
pub(crate) mod tally {
    use super::{Change, Credited, Deserialize, Recorded, Serialize, View, projection};
    #[derive(Debug, Clone, Default, Serialize, Deserialize, View)]
    #[view(name = "tally", key = String)]
    #[index(by_account(account))]
    pub(crate) struct Tally {
        account: String,
        numbers: Vec<u32>,
    }
    #[projection(name = "tally")]
    fn tally(event: &Recorded<Credited>) -> Change<Tally> {
        let (account, number) = (event.aggregate_id.clone(), event.number);
        if event.version > 1 {
            return Tally::update_where(Tally::by_account().account(&account), move |tally| tally.numbers.push(number));
        }
        Change::none().and(account.clone(), move |found: Option<Tally>| {
            let mut tally = found.unwrap_or(Tally { account, numbers: Vec::new() });
            tally.numbers.push(number);
            Some(tally)
        })
    }
}
/// A subscriber to the shop's own log that updates another aggregate.
pub(crate) mod trail {
    use super::{BoxError, Credited, Dep, InjectedFailures, Recorded, Repo, Trail, Trailed, append, subscriber};
    #[subscriber(group = "shop.trail", from = "beginning")]
    async fn trail(
        event: Recorded<Credited>,
        trails: Repo<Trail>,
        failures: Dep<InjectedFailures>,
    ) -> Result<(), BoxError> {
        let Credited { number } = event.event;
        failures.inject(number).await?;
        Ok(append(&trails, &event.aggregate_id, Trailed { number }).await?)
    }
}
/// A subscriber to the topic that updates an aggregate: the effect and the inbox record are in one batch.
pub(crate) mod book {
    use super::{AccountCredited, Booked, BoxError, Dep, InjectedFailures, Ledger, Recorded, Repo, append, subscriber};
    #[subscriber(group = "bank.book")]
    async fn book(
        event: Recorded<AccountCredited>,
        ledgers: Repo<Ledger>,
        failures: Dep<InjectedFailures>,
    ) -> Result<(), BoxError> {
        let AccountCredited { id, number } = event.event;
        book_number(&id, number, &ledgers, &failures).await
    }
    pub(crate) async fn book_number(
        id: &String,
        number: u32,
        ledgers: &Repo<Ledger>,
        failures: &InjectedFailures,
    ) -> Result<(), BoxError> {
        failures.inject(number).await?;
        Ok(append(ledgers, id, Booked { number }).await?)
    }
}
/// A subscriber to the topic that sends a command: the command commits by itself, before the inbox record.
pub(crate) mod note {
    use super::{
        AccountCredited, BoxError, Bus, Command, Dep, Deserialize, Infallible, InjectedFailures, Noted, Notes,
        Recorded, Repo, Serialize, append, handler, subscriber,
    };
    #[derive(Debug, Clone, Serialize, Deserialize, Command)]
    pub(crate) struct Note {
        id: String,
        number: u32,
    }
    #[handler]
    async fn note(command: Note, notes: Repo<Notes>) -> cqrs_core::HandlerResult<(), Infallible> {
        let Note { id, number } = command;
        append(&notes, &id, Noted { number }).await
    }
    #[subscriber(group = "bank.note")]
    async fn noted(
        event: Recorded<AccountCredited>,
        bus: Bus,
        failures: Dep<InjectedFailures>,
    ) -> Result<(), BoxError> {
        let AccountCredited { id, number } = event.event;
        note_number(id, number, &bus, &failures).await
    }
    pub(crate) async fn note_number(
        id: String,
        number: u32,
        bus: &Bus,
        failures: &InjectedFailures,
    ) -> Result<(), BoxError> {
        bus.send(Note { id, number }).await?;
        failures.inject(number).await
    }
}
/// A projection of the topic.
pub(crate) mod mirror {
    use super::{AccountCredited, Change, Deserialize, Serialize, View, projection};
    #[derive(Debug, Clone, Default, Serialize, Deserialize, View)]
    #[view(name = "bank.mirror", key = String)]
    pub(crate) struct Mirror {
        numbers: Vec<u32>,
    }
    #[projection(name = "mirror")]
    fn mirror(event: &AccountCredited) -> Change<Mirror> {
        let AccountCredited { id, number } = event.clone();
        Change::none().and(id, move |found: Option<Mirror>| {
            let mut mirror = found.unwrap_or_default();
            mirror.numbers.push(number);
            Some(mirror)
        })
    }
}
