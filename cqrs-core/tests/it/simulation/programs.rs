//! The programs of a mixed fleet: the former program of the shop, and newer ones that each change something.
//!
//! They share the readers of the topic in `service.rs`. In each, an even or odd number decides how an event is stored.
use super::{
    actor::Role,
    service::{
        AccountCredited, InjectedFailures, Ledger, Trail, Trailed, append, aside::AccountCreditedAside,
        book::book_number, note::note_number,
    },
};
use cqrs_core::{
    Aggregate, App, BoxError, Bus, Change, Command, Cursor, Dep, Error, Event, EventSourced, Evolve, HandlerResult,
    Infallible, IntegrationEvent, Query, Recorded, Repo, StateStored, View, Views,
    app::{AppBuilder, WithMetadata},
    handler, projection, publish, subscriber,
};
use serde::{Deserialize, Serialize};

/// A program of the shop. A newer one runs beside the former one during a deploy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Program {
    Former,
    /// It stores an event that the former one does not know, and adds an index to the view.
    NewEvent,
    /// It publishes an integration event that the bank's former program does not handle, and adds an index to the view.
    NewMessage,
    /// It stores its event in a higher version, and replaces the index of the view by another one.
    NewVersion,
}
impl Program {
    /// Returns the modules of the shop's program that has these readers.
    pub(crate) fn of_shop(self, readers: &[Role]) -> Vec<&'static str> {
        let [shop, tally, trail, by_newer] = match self {
            Program::Former => former::MODULES,
            Program::NewEvent => new_event::MODULES,
            Program::NewMessage => new_message::MODULES,
            Program::NewVersion => new_version::MODULES,
        };
        let module = |role: &Role| match role {
            Role::Tally if self == Program::Former => vec![tally],
            Role::Tally => vec![tally, by_newer],
            Role::Trail => vec![trail],
            _ => Vec::new(),
        };
        [shop].into_iter().chain(readers.iter().flat_map(module)).collect()
    }
    /// Returns the modules of the bank's program that has these readers.
    pub(crate) fn of_bank(self, readers: &[Role]) -> Vec<&'static str> {
        let rewarded = |role: &Role| match role {
            Role::Book => Some("it::simulation::programs::book_rewarded"),
            Role::Note => Some("it::simulation::programs::note_rewarded"),
            _ => None,
        };
        let topic = readers.iter().filter(|role| role.is_bank());
        let former = topic.clone().flat_map(|role| role.modules().iter().copied());
        let added = topic.filter_map(rewarded).filter(|_| self == Program::NewMessage);
        former.chain(added).collect()
    }
    pub(crate) fn with_accounts(self, app: AppBuilder, state_stored: bool) -> AppBuilder {
        match (self, state_stored) {
            (Program::Former, true) => app.aggregate(StateStored::<former::Account>::new()),
            (Program::Former, false) => app.aggregate(EventSourced::<former::Account>::new().snapshot_every(2)),
            (Program::NewEvent, true) => app.aggregate(StateStored::<new_event::Account>::new()),
            (Program::NewEvent, false) => app.aggregate(EventSourced::<new_event::Account>::new().snapshot_every(3)),
            (Program::NewMessage, true) => app.aggregate(StateStored::<new_message::Account>::new()),
            (Program::NewMessage, false) => {
                app.aggregate(EventSourced::<new_message::Account>::new().snapshot_every(2))
            }
            (Program::NewVersion, true) => app.aggregate(StateStored::<new_version::Account>::new()),
            (Program::NewVersion, false) => {
                app.aggregate(EventSourced::<new_version::Account>::new().snapshot_every(2))
            }
        }
    }
    /// Reads all pages of each index of the program's view.
    pub(crate) async fn read_pages(self, app: &App) -> Result<Vec<IndexPages>, Error<Infallible>> {
        match self {
            Program::Former => app.send(former::tallied::ReadPages).await,
            Program::NewEvent => app.send(new_event::tallied::ReadPages).await,
            Program::NewMessage => app.send(new_message::tallied::ReadPages).await,
            Program::NewVersion => app.send(new_version::tallied::ReadPages).await,
        }
    }
    /// Sends the command as a client of this program does. Its name and fields are those of every program.
    pub(crate) async fn credit(
        self,
        app: WithMetadata,
        id: String,
        command: u32,
        events: u32,
    ) -> Result<u32, Error<Infallible>> {
        match self {
            Program::Former => app.send(former::Credit { id, command, events }).await,
            Program::NewEvent => app.send(new_event::Credit { id, command, events }).await,
            Program::NewMessage => app.send(new_message::Credit { id, command, events }).await,
            Program::NewVersion => app.send(new_version::Credit { id, command, events }).await,
        }
    }
}

/// The values of a view in the order of one index, from all of its pages, and the same index read backwards and counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct IndexPages {
    pub(crate) index: &'static str,
    pub(crate) values: Vec<IndexedTally>,
    /// The keys of the values, read by `previous` from the last page to the first.
    pub(crate) backwards: Vec<String>,
    pub(crate) count: u64,
}
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct IndexedTally {
    pub(crate) key: String,
    /// The value of the indexed column.
    pub(crate) column: u32,
    pub(crate) numbers: Vec<u32>,
}

/// Defines a program of the shop: its events with their version, the choice between them, the indexes of its view, the
/// field that it adds to its state and view, and its publishers.
macro_rules! program {
    (
        $program:ident, version = $version:literal, { $($event:ident = $stored:literal),+ }, $choose:expr,
        indexes = { $($index:ident($column:ident)),+ }, added = { $($added:ident)? }, $($publisher:item)+
    ) => {
        pub(crate) mod $program {
            use super::*;

            pub(crate) const MODULES: [&str; 4] = [
                concat!(module_path!(), "::shop"),
                concat!(module_path!(), "::tallied"),
                concat!(module_path!(), "::trailed"),
                concat!(module_path!(), "::by_newer"),
            ];

            #[derive(Debug, Clone, Serialize, Deserialize, Event)]
            #[serde(tag = "kind")]
            #[event(name = "account", version = $version)]
            pub(crate) enum AccountEvent {
                $(#[event(name = $stored)] $event { number: u32 },)+
            }
            impl AccountEvent {
                fn number(&self) -> u32 {
                    match self {
                        $(AccountEvent::$event { number } => *number,)+
                    }
                }
            }
            #[derive(Debug, Clone, Serialize, Deserialize, Aggregate)]
            #[aggregate(name = "account", event = AccountEvent)]
            pub(crate) struct Account {
                #[id]
                id: String,
                count: u32,
                $(#[serde(default)] $added: Option<u32>,)?
            }
            impl Evolve<AccountEvent> for Account {
                fn create(id: String, first: &AccountEvent) -> Option<Self> {
                    let _ = first;
                    Some(Account { id, count: 1, $($added: Some(first.number()),)? })
                }
                fn apply(&mut self, next: &AccountEvent) {
                    let _ = next;
                    self.count += 1;
                    $(self.$added = Some(next.number());)?
                }
            }
            #[derive(Debug, Clone, Serialize, Deserialize, Command)]
            pub(crate) struct Credit {
                pub(crate) id: String,
                pub(crate) command: u32,
                pub(crate) events: u32,
            }
            mod shop {
                use super::*;
                #[handler]
                async fn credit(command: Credit, accounts: Repo<Account>) -> HandlerResult<u32, Infallible> {
                    let Credit { id, command, events } = command;
                    let choose: fn(u32) -> AccountEvent = $choose;
                    let events: Vec<_> = (0..events).map(|n| choose(command * 10 + n)).collect();
                    append(&accounts, &id, events).await?;
                    Ok(command)
                }
                $($publisher)+
                /// It publishes nothing. With it the relay knows the topic that the simulated database stores for one account.
                #[publish]
                fn aside(_: &Recorded<AccountEvent>) -> Option<AccountCreditedAside> {
                    None
                }
            }
            pub(crate) mod tallied {
                use super::*;
                #[derive(Debug, Clone, Default, Serialize, Deserialize, View)]
                #[view(name = "tally", key = String)]
                $(#[index($index($column))])+
                pub(crate) struct Tally {
                    key: String,
                    first: u32,
                    count: u32,
                    numbers: Vec<u32>,
                    $(#[serde(default)] $added: Option<u32>,)?
                }
                #[projection(name = "tally")]
                fn tally(event: &Recorded<AccountEvent>) -> Change<Tally> {
                    let (number, key) = (event.number(), event.aggregate_id.clone());
                    Change::none().and(key.clone(), move |found: Option<Tally>| {
                        let new = || Tally { key, first: number, ..Tally::default() };
                        let mut tally = found.unwrap_or_else(new);
                        tally.numbers.push(number);
                        tally.count += 1;
                        $(tally.$added = Some(number);)?
                        Some(tally)
                    })
                }
                /// Reads all pages of each index in both directions, a value at a time, and counts its values.
                #[derive(Clone, Query)]
                pub(crate) struct ReadPages;
                #[handler]
                async fn read_pages(_: ReadPages, tallies: Views<Tally>) -> HandlerResult<Vec<IndexPages>, Infallible> {
                    let (tallies, mut all) = (tallies.eventually(), Vec::new());
                    $(
                        let (mut values, mut after) = (Vec::new(), None::<Cursor>);
                        loop {
                            let page = tallies.page(Tally::$index(), after.as_ref(), 1).await?;
                            values.extend(page.items.into_iter().map(|tally| IndexedTally {
                                column: tally.$column,
                                key: tally.key,
                                numbers: tally.numbers,
                            }));
                            after = page.next;
                            if after.is_none() {
                                break;
                            }
                        }
                        let (mut backwards, mut page) = (Vec::new(), tallies.last_page(Tally::$index(), 1).await?);
                        loop {
                            backwards.extend(page.items.into_iter().map(|tally| tally.key));
                            let Some(previous) = page.previous else { break };
                            page = tallies.page(Tally::$index(), Some(&previous), 1).await?;
                        }
                        let count = tallies.count(Tally::$index()).await?;
                        all.push(IndexPages { index: stringify!($index), values, backwards, count });
                    )+
                    Ok(all)
                }
            }
            /// A view that only a newer program has.
            mod by_newer {
                use super::*;
                #[derive(Debug, Clone, Default, Serialize, Deserialize, View)]
                #[view(name = "tally.newer", key = String)]
                pub(crate) struct Tally {
                    numbers: Vec<u32>,
                }
                #[projection(name = "tally.newer")]
                fn tally(event: &Recorded<AccountEvent>) -> Change<Tally> {
                    let number = event.number();
                    Change::none().and(event.aggregate_id.clone(), move |found: Option<Tally>| {
                        let mut tally = found.unwrap_or_default();
                        tally.numbers.push(number);
                        Some(tally)
                    })
                }
            }
            mod trailed {
                use super::*;
                #[subscriber(group = "shop.trail", from = "beginning")]
                async fn trail(
                    event: Recorded<AccountEvent>,
                    trails: Repo<Trail>,
                    failures: Dep<InjectedFailures>,
                ) -> Result<(), BoxError> {
                    let number = event.number();
                    failures.inject(number).await?;
                    Ok(append(&trails, &event.aggregate_id, Trailed { number }).await?)
                }
            }
        }
    };
}
program!(
    former,
    version = 1,
    { Credited = "credited" },
    |number| AccountEvent::Credited { number },
    indexes = { by_first(first) },
    added = {},
    #[publish]
    fn credited(event: &Recorded<AccountEvent>) -> Option<AccountCredited> {
        Some(AccountCredited { id: event.aggregate_id.clone(), number: event.number() })
    }
);
program!(
    new_event, version = 1, { Credited = "credited", Rewarded = "rewarded" },
    |number| if rewards(number) { AccountEvent::Rewarded { number } } else { AccountEvent::Credited { number } },
    indexes = { by_first(first), by_count(count) }, added = { last },
    #[publish]
    fn credited(event: &Recorded<AccountEvent>) -> Option<AccountCredited> {
        Some(AccountCredited { id: event.aggregate_id.clone(), number: event.number() })
    }
);
program!(
    new_message, version = 1, { Credited = "credited", Rewarded = "rewarded" },
    |number| if rewards(number) { AccountEvent::Rewarded { number } } else { AccountEvent::Credited { number } },
    indexes = { by_first(first), by_count(count) }, added = { last },
    #[publish]
    fn credited(event: &Recorded<AccountEvent>) -> Option<AccountCredited> {
        let AccountEvent::Credited { number } = event.event else { return None };
        Some(AccountCredited { id: event.aggregate_id.clone(), number })
    }
    #[publish]
    fn rewarded(event: &Recorded<AccountEvent>) -> Option<AccountRewarded> {
        let AccountEvent::Rewarded { number } = event.event else { return None };
        Some(AccountRewarded { id: event.aggregate_id.clone(), number })
    }
);
program!(
    new_version,
    version = 2,
    { Credited = "credited" },
    |number| AccountEvent::Credited { number },
    indexes = { by_count(count) },
    added = { last },
    #[publish]
    fn credited(event: &Recorded<AccountEvent>) -> Option<AccountCredited> {
        Some(AccountCredited { id: event.aggregate_id.clone(), number: event.number() })
    }
);
/// Returns whether a newer program stores this number as the new event.
fn rewards(number: u32) -> bool {
    (number / 10 + number % 10) % 2 == 1
}

/// The integration event that only newer programs know.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, IntegrationEvent)]
#[integration_event(name = "shop.rewarded.v1", topic = "shop.v1", key = id)]
pub(crate) struct AccountRewarded {
    pub(crate) id: String,
    pub(crate) number: u32,
}
/// A subscriber that the bank's newer program adds to a group of the former one.
mod book_rewarded {
    use super::{AccountRewarded, BoxError, Dep, InjectedFailures, Ledger, Recorded, Repo, book_number, subscriber};
    #[subscriber(group = "bank.book")]
    async fn book(
        event: Recorded<AccountRewarded>,
        ledgers: Repo<Ledger>,
        failures: Dep<InjectedFailures>,
    ) -> Result<(), BoxError> {
        book_number(&event.event.id, event.event.number, &ledgers, &failures).await
    }
}
/// A subscriber that the bank's newer program adds to a group of the former one, with a command as its effect.
mod note_rewarded {
    use super::{AccountRewarded, BoxError, Bus, Dep, InjectedFailures, Recorded, note_number, subscriber};
    #[subscriber(group = "bank.note")]
    async fn note(event: Recorded<AccountRewarded>, bus: Bus, failures: Dep<InjectedFailures>) -> Result<(), BoxError> {
        note_number(event.event.id.clone(), event.event.number, &bus, &failures).await
    }
}
