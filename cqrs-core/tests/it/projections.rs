//! Projections that find values by an index, and projections of several functions.
use crate::{bank::until, trials::trial};
use cqrs_core::{
    Aggregate, App, AppBuilder, Change, Command, Event, Evolve, HandlerResult, IntegrationEvent, Metadata, Page, Query,
    Recorded, Repo, StateStored, View, Views, handler,
    job::Step,
    projection, publish,
    storage::{Memory, ParkedPage, Storage},
    testing::TestApp,
};
use libtest_mimic::Trial;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

pub(crate) fn trials() -> Vec<Trial> {
    #[cfg_attr(not(feature = "sqlite"), allow(unused_mut, reason = "memory alone is one list"))]
    let mut trials = vec![
        trial("projections: values found by an index are those of the model, event by event: memory", || {
            by_index(Memory::new(), 1)
        }),
        trial("projections: values found by an index are those of the model, in one batch: memory", || {
            by_index(Memory::new(), usize::MAX)
        }),
        trial("projections: an event that would change too many values is parked, and names the range", too_many),
        trial("projections: values found by an index are safe beside another projection of the view", beside_another),
        trial("projections: a query waits for every function of a projection", own_writes),
        trial("projections: the events of a topic reach the functions of one projection in order", of_a_topic),
    ];
    #[cfg(feature = "sqlite")]
    for (name, every) in [("event by event", 1), ("in one batch", usize::MAX)] {
        let name = format!("projections: values found by an index are those of the model, {name}: sqlite");
        trials.push(trial(name, move || async move {
            let directory = tempfile::tempdir().expect("a temporary directory for the database");
            let storage = cqrs_core::storage::Sqlite::open(directory.path().join("desk.db")).await;
            let storage = storage.expect("a new database opens");
            storage.migrate().await.expect("the schema can be created");
            by_index(storage, every).await;
        }));
    }
    trials
}

#[derive(Clone, Serialize, Deserialize, Aggregate)]
#[aggregate(name = "person", event = PersonEvent)]
struct Person {
    #[id]
    id: String,
}
#[derive(Debug, Clone, Serialize, Deserialize, Event)]
#[event(name = "person", version = 1)]
enum PersonEvent {
    Joined { name: String },
    Renamed { name: String },
    Left,
}
impl Evolve<PersonEvent> for Person {
    fn create(id: String, _: &PersonEvent) -> Option<Self> {
        Some(Person { id })
    }
    fn apply(&mut self, _: &PersonEvent) {}
}
#[derive(Clone, Serialize, Deserialize, Aggregate)]
#[aggregate(name = "ticket", event = TicketEvent)]
struct Ticket {
    #[id]
    id: String,
}
#[derive(Debug, Clone, Serialize, Deserialize, Event)]
#[event(name = "ticket", version = 1)]
enum TicketEvent {
    Opened { owner: String },
    Assigned { owner: String },
    Closed,
}
impl Evolve<TicketEvent> for Ticket {
    fn create(id: String, _: &TicketEvent) -> Option<Self> {
        Some(Ticket { id })
    }
    fn apply(&mut self, _: &TicketEvent) {}
}
#[derive(Clone, Serialize, Deserialize, Command)]
enum Act {
    Person(String, PersonEvent),
    Ticket(String, TicketEvent),
}
mod acts {
    use super::{Act, HandlerResult, Person, Repo, Ticket, handler};

    #[handler]
    async fn act(command: Act, people: Repo<Person>, tickets: Repo<Ticket>) -> HandlerResult<()> {
        match command {
            Act::Person(id, event) => match people.find(&id).await? {
                None => drop(people.create(id, event)?),
                Some(_) => drop(people.update(&id, |_| event.clone()).await?),
            },
            Act::Ticket(id, event) => match tickets.find(&id).await? {
                None => drop(tickets.create(id, event)?),
                Some(_) => drop(tickets.update(&id, |_| event.clone()).await?),
            },
        }
        Ok(())
    }
}

/// A ticket with what is known of its owner. An event of a person carries no key of a ticket.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, View)]
#[view(name = "card", key = String)]
#[index(by_owner(owner, -number))]
struct Card {
    id: String,
    owner: String,
    number: u32,
    name: String,
}
fn card(id: &str, owner: &str) -> Card {
    let number = id.trim_start_matches('t').parse().expect("the test writes numbers");
    Card { id: id.into(), owner: owner.into(), number, name: String::new() }
}
mod cards {
    use super::{Card, Change, PersonEvent, Recorded, TicketEvent, View, card, projection};

    #[projection(name = "card")]
    fn tickets(event: &Recorded<TicketEvent>) -> Change<Card> {
        let id = event.aggregate_id.clone();
        match event.event.clone() {
            TicketEvent::Opened { owner } => card(&id, &owner).put(id),
            TicketEvent::Assigned { owner } => Card::update(id, move |card| card.owner = owner),
            TicketEvent::Closed => Card::remove(id),
        }
    }
    #[projection(name = "card")]
    fn people(event: &Recorded<PersonEvent>) -> Change<Card> {
        let of_person = Card::by_owner().owner(&event.aggregate_id);
        match event.event.clone() {
            PersonEvent::Joined { .. } => Change::none(),
            PersonEvent::Renamed { name } => Card::update_where(of_person, move |card| card.name = name.clone()),
            // The even tickets go to somebody else, whose range the next step reads.
            PersonEvent::Left => Change::none()
                .and_where(of_person, |card| (card.number % 2 == 0).then(|| Card { owner: "heir".into(), ..card }))
                .then(Card::update_where(Card::by_owner().owner("heir").number_in(..5), |card| card.name.push('+'))),
        }
    }
}
#[derive(Clone, Query)]
struct FindCards;
mod queries {
    use super::{Card, FindCards, HandlerResult, Page, Views, handler};

    #[handler]
    async fn find_cards(_: FindCards, cards: Views<Card>) -> HandlerResult<Page<Card>> {
        Ok(cards.page(Card::by_owner(), None, 1000).await?)
    }
}

fn desk(storage: impl Storage, functions: &str) -> AppBuilder {
    let desk = App::builder("desk").storage(storage).aggregate(StateStored::<Person>::new());
    let desk = desk.aggregate(StateStored::<Ticket>::new());
    functions.split(' ').fold(desk, |desk, functions| {
        let module: &'static str = Box::leak(format!("it::projections::{functions}").into_boxed_str());
        desk.discover_part(module)
    })
}
async fn send(app: &App, act: Act) {
    app.send(act).await.expect("the command succeeds");
}
async fn project(app: &App) {
    for mut follower in app.log_followers() {
        while !matches!(follower.step().await.expect("the events are applied"), Step::Idle(_)) {}
        follower.release().await;
    }
}

/// Applies an event to the model, as the projection says it.
fn apply(model: &mut BTreeMap<String, Card>, act: &Act) {
    match act {
        Act::Ticket(id, TicketEvent::Opened { owner }) => drop(model.insert(id.clone(), card(id, owner))),
        Act::Ticket(id, TicketEvent::Assigned { owner }) => {
            if let Some(card) = model.get_mut(id) {
                card.owner.clone_from(owner);
            }
        }
        Act::Ticket(id, TicketEvent::Closed) => drop(model.remove(id)),
        Act::Person(_, PersonEvent::Joined { .. }) => {}
        Act::Person(id, PersonEvent::Renamed { name }) => {
            model.values_mut().filter(|card| card.owner == *id).for_each(|card| card.name.clone_from(name));
        }
        Act::Person(id, PersonEvent::Left) => {
            model.retain(|_, card| card.owner != *id || card.number % 2 == 0);
            model.values_mut().filter(|card| card.owner == *id).for_each(|card| card.owner = "heir".into());
            let of_heir = model.values_mut().filter(|card| card.owner == "heir" && card.number < 5);
            of_heir.for_each(|card| card.name.push('+'));
        }
    }
}

/// Random events of two kinds of aggregates, applied after every so many commands. In one batch, almost every range holds
/// values that an earlier event of the batch has added, changed or removed.
async fn by_index(storage: impl Storage + Clone, every: usize) {
    let app = desk(storage, "cards acts queries").build();
    let app = app.expect("the app builds");
    for seed in 0..4 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut model: BTreeMap<String, Card> = app
            .send(FindCards)
            .await
            .map(|page| page.items.into_iter().map(|card| (card.id.clone(), card)).collect())
            .expect("the query succeeds");
        for number in 1..=120 {
            let owner = |random: &mut fastrand::Rng| ["kim", "lee", "heir"][random.usize(..3)].to_owned();
            let ticket = format!("t{}", random.u32(..12));
            let act = match random.u32(..10) {
                0..3 => Act::Ticket(ticket, TicketEvent::Opened { owner: owner(&mut random) }),
                3..5 => Act::Ticket(ticket, TicketEvent::Assigned { owner: owner(&mut random) }),
                5 => Act::Ticket(ticket, TicketEvent::Closed),
                6..9 => Act::Person(owner(&mut random), PersonEvent::Renamed { name: format!("n{number}") }),
                _ => Act::Person(owner(&mut random), PersonEvent::Left),
            };
            apply(&mut model, &act);
            send(&app, act).await;
            if number % every == 0 {
                project(&app).await;
            }
        }
        project(&app).await;
        let found = app.send(FindCards).await.expect("the query succeeds").items;
        let mut expected: Vec<_> = model.into_values().collect();
        expected.sort_by(|a, b| (&a.owner, b.number).cmp(&(&b.owner, a.number)));
        assert_eq!(found, expected, "seed {seed}");
    }
}

async fn too_many() {
    let app = TestApp::start(desk(Memory::new(), "cards acts queries")).await.expect("the app starts");
    for number in 0..1001 {
        send(&app, Act::Ticket(format!("t{number}"), TicketEvent::Opened { owner: "kim".into() })).await;
    }
    let rename = |id: &str| Act::Person(id.to_owned(), PersonEvent::Renamed { name: "new".into() });
    send(&app, rename("kim")).await;
    send(&app, Act::Ticket("t2000".into(), TicketEvent::Opened { owner: "lee".into() })).await;
    send(&app, rename("lee")).await;
    app.settle().await;
    let parked = app.parked().list(&ParkedPage { limit: 9, ..ParkedPage::default() }).await.expect("parked keys");
    let [parked] = &parked[..] else { panic!("{parked:?}") };
    assert_eq!((&*parked.reader, &*parked.key), ("projection/card", "person/kim"));
    let reason = "more than 1000 values of view card are in the range of index by_owner";
    assert!(parked.error.contains(reason), "{}", parked.error);
    let found = app.storage().views("card", &["t2000".to_owned(), "t7".to_owned()]).await.expect("the values");
    let name = |key: &str| {
        let value = found.iter().find(|stored| stored.key == key).and_then(|stored| stored.value.clone());
        serde_json::from_slice::<Card>(&value.expect("the value exists")).expect("the value can be read").name
    };
    assert_eq!((&*name("t2000"), &*name("t7")), ("new", ""), "the other events are applied, and the large one is not");
    // With one value less the event fits.
    send(&app, Act::Ticket("t0".into(), TicketEvent::Closed)).await;
    app.settle().await;
    let by = Metadata::default().caller("operator");
    let redelivery = app.parked().redeliver("projection/card", "person/kim", &by).await.expect("the redelivery runs");
    assert!(redelivery.stopped.is_none() && redelivery.done.len() == 1, "{redelivery:?}");
    let found = app.storage().views("card", &["t1000".to_owned()]).await.expect("the values").remove(0);
    let card: Card = serde_json::from_slice(&found.value.expect("the value exists")).expect("the value can be read");
    assert_eq!(card.name, "new");
    assert!(app.stop().await);
}

/// A second projection of the view, which changes every card at every event of its ticket.
mod marks {
    use super::{Card, Change, Recorded, TicketEvent, View, projection};

    #[projection(name = "card-marks")]
    fn marks(event: &Recorded<TicketEvent>) -> Change<Card> {
        match event.event {
            TicketEvent::Assigned { .. } => Card::update(event.aggregate_id.clone(), |card| card.name.push('!')),
            _ => Change::none(),
        }
    }
}
/// The projection of people marks what it finds, and so does the projection of tickets. Neither loses a mark of the other.
mod found {
    use super::{Card, Change, PersonEvent, Recorded, View, projection};

    #[projection(name = "card-found")]
    fn found(event: &Recorded<PersonEvent>) -> Change<Card> {
        match event.event {
            PersonEvent::Renamed { .. } => {
                Card::update_where(Card::by_owner().owner(&event.aggregate_id), |card| card.name.push('?'))
            }
            _ => Change::none(),
        }
    }
}
mod opened {
    use super::{Card, Change, Recorded, TicketEvent, View, card, projection};

    #[projection(name = "card-opened")]
    fn opened(event: &Recorded<TicketEvent>) -> Change<Card> {
        match &event.event {
            TicketEvent::Opened { owner } => card(&event.aggregate_id, owner).put(event.aggregate_id.clone()),
            _ => Change::none(),
        }
    }
}
async fn beside_another() {
    let app = TestApp::start(desk(Memory::new(), "opened marks found acts queries")).await.expect("the app starts");
    for number in 0..20 {
        send(&app, Act::Ticket(format!("t{number}"), TicketEvent::Opened { owner: "kim".into() })).await;
    }
    app.settle().await;
    for round in 0..30 {
        let rename = Act::Person("kim".into(), PersonEvent::Renamed { name: round.to_string() });
        let assign = |number: u32| Act::Ticket(format!("t{number}"), TicketEvent::Assigned { owner: "kim".into() });
        tokio::join!(send(&app, rename), send(&app, assign(round % 20)), send(&app, assign((round + 7) % 20)));
    }
    app.settle().await;
    let cards = app.send(FindCards).await.expect("the query succeeds").items;
    let marks = |mark: char| cards.iter().map(|card| card.name.matches(mark).count()).sum::<usize>();
    assert_eq!((marks('!'), marks('?')), (60, 600), "a mark was lost or made twice");
    assert!(app.stop().await);
}

async fn own_writes() {
    let app = TestApp::start(desk(Memory::new(), "cards acts queries")).await.expect("the app starts");
    send(&app, Act::Ticket("t1".into(), TicketEvent::Opened { owner: "kim".into() })).await;
    for number in 0..30 {
        let name = format!("n{number}");
        send(&app, Act::Person("kim".into(), PersonEvent::Renamed { name: name.clone() })).await;
        assert_eq!(app.send(FindCards).await.expect("the query succeeds").items[0].name, name);
        let owner = ["lee", "kim"][number % 2].to_owned();
        send(&app, Act::Ticket("t1".into(), TicketEvent::Assigned { owner: owner.clone() })).await;
        assert_eq!(app.send(FindCards).await.expect("the query succeeds").items[0].owner, owner);
        send(&app, Act::Ticket("t1".into(), TicketEvent::Assigned { owner: "kim".into() })).await;
    }
    assert!(app.stop().await);
}

mod published {
    use super::{IntegrationEvent, PersonEvent, Recorded, publish};
    use serde::{Deserialize, Serialize};

    #[derive(Clone, Serialize, Deserialize, IntegrationEvent)]
    #[integration_event(name = "com.example.person.joined.v1", topic = "people.events.v1", key = id)]
    pub(super) struct PersonJoined {
        pub(super) id: String,
        pub(super) name: String,
    }
    #[derive(Clone, Serialize, Deserialize, IntegrationEvent)]
    #[integration_event(name = "com.example.person.left.v1", topic = "people.events.v1", key = id)]
    pub(super) struct PersonLeft {
        pub(super) id: String,
    }
    #[publish]
    fn joined(event: &Recorded<PersonEvent>) -> Option<PersonJoined> {
        let PersonEvent::Joined { name } = event.event.clone() else { return None };
        Some(PersonJoined { id: event.aggregate_id.clone(), name })
    }
    #[publish]
    fn left(event: &Recorded<PersonEvent>) -> Option<PersonLeft> {
        matches!(event.event, PersonEvent::Left).then(|| PersonLeft { id: event.aggregate_id.clone() })
    }
}
/// One view from three events: two of a topic, and one of the own log.
mod roster {
    use super::published::{PersonJoined, PersonLeft};
    use super::{Change, Deserialize, HandlerResult, Query, Recorded, Serialize, TicketEvent, View, Views};
    use cqrs_core::{handler, projection};

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize, View)]
    #[view(name = "member", key = String)]
    pub(super) struct Member {
        /// The names, and `-` for each time the person left.
        pub(super) history: Vec<String>,
        pub(super) tickets: u32,
    }
    fn changed(id: String, change: impl FnOnce(&mut Member) + Send + 'static) -> Change<Member> {
        Change::none().and(id, move |found| {
            let mut member = found.unwrap_or(Member { history: Vec::new(), tickets: 0 });
            change(&mut member);
            Some(member)
        })
    }
    #[projection(name = "member-people")]
    fn joined(event: &PersonJoined) -> Change<Member> {
        let PersonJoined { id, name } = event.clone();
        changed(id, move |member| member.history.push(name))
    }
    #[projection(name = "member-people")]
    fn left(event: &PersonLeft) -> Change<Member> {
        changed(event.id.clone(), |member| member.history.push("-".into()))
    }
    #[projection(name = "member-tickets")]
    fn tickets(event: &Recorded<TicketEvent>) -> Change<Member> {
        match event.event.clone() {
            TicketEvent::Opened { owner } => changed(owner, |member| member.tickets += 1),
            _ => Change::none(),
        }
    }
    #[derive(Clone, Query)]
    pub(super) struct FindMember(pub(super) String);
    #[handler]
    async fn find_member(query: FindMember, members: Views<Member>) -> HandlerResult<Option<Member>> {
        Ok(members.find(&query.0).await?)
    }
}
async fn of_a_topic() {
    let app = TestApp::start(desk(Memory::new(), "published roster acts")).await.expect("the app starts");
    let mut expected = Vec::new();
    for number in 0..25 {
        for id in ["kim", "lee"] {
            let name = format!("n{number}");
            send(&app, Act::Person(id.into(), PersonEvent::Joined { name: name.clone() })).await;
            send(&app, Act::Ticket(format!("{id}{number}"), TicketEvent::Opened { owner: id.into() })).await;
            send(&app, Act::Person(id.into(), PersonEvent::Left)).await;
        }
        expected.extend([format!("n{number}"), "-".to_owned()]);
    }
    let found = async |id: &str| app.send(roster::FindMember(id.into())).await.expect("the query succeeds");
    until("the events of the topic have arrived", async || {
        found("lee").await.is_some_and(|member| member.history.len() == 50)
    })
    .await;
    app.settle().await;
    for id in ["kim", "lee"] {
        assert_eq!(found(id).await, Some(roster::Member { history: expected.clone(), tickets: 25 }), "{id}");
    }
    assert!(app.stop().await);
}
