//! Views as queries read them: up to date with the commits before them, in index order, page by page.
use crate::{
    bank::{Account, AccountEvent, Card, FindCard, bank, on_each, opened, paid_in, until},
    trials::trial,
};
use cqrs_core::{
    App, AppBuilder, Change, ConsistencyToken, Cursor, ErrorKind, Fault, HandlerResult, Infallible, Metadata, Page,
    Position, Query, Range, Recorded, View, Views, handler, projection,
    storage::{Memory, Storage},
    testing::{StorageLayer, TestApp},
};
use libtest_mimic::Trial;
use serde::{Deserialize, Serialize};
use std::{
    ops::Bound,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = vec![
        trial("views: a query of a view whose projection does not run is unavailable after a second", unavailable),
        trial("views: a query waits for the position of a consistency token from another process", token),
        trial("views: a read of what the caller has seen waits for the token alone", seen_by_caller),
        trial("views: a consistency token that the view does not reach is unavailable", far_token),
        trial("views: many waiting reads share one poll of the checkpoint", shared_poll),
        trial("views: two projections can update one view", two_projections),
        trial("views: a change that panics is retried", panics),
        trial("views: a change puts, updates and removes", changes),
    ];
    trials.extend(on_each("views: a query reads the writes of its own process", own_writes));
    trials.extend(on_each("views: a range holds the entries of any number of leading columns", columns));
    trials.extend(on_each("views: pages follow each other without gaps or repetitions", pages));
    trials.extend(on_each("views: pages lead there and back through every range, and counts are exact", walks));
    trials.extend(on_each("views: cursors stay valid when values come and go", changing));
    trials.extend(on_each("views: a cursor of another range is refused", other_cursors));
    trials.extend(on_each("views: several values are read in the order of their keys", several));
    trials
}
fn card(name: &str, balance: i64) -> Card {
    Card { name: name.into(), balance }
}
async fn started(app: AppBuilder) -> TestApp {
    TestApp::start(app).await.expect("the app starts")
}

mod queries {
    use super::{Card, Cursor, HandlerResult, Infallible, Page, Query, Views, handler};
    #[derive(Clone, Query)]
    pub(super) struct FindEventually(pub(super) String);
    #[handler]
    async fn find_eventually(query: FindEventually, cards: Views<Card>) -> HandlerResult<Option<Card>, Infallible> {
        Ok(cards.eventually().find(&query.0).await?)
    }
    #[derive(Clone, Query)]
    pub(super) struct FindSeen(pub(super) String);
    #[handler]
    async fn find_seen(query: FindSeen, cards: Views<Card>) -> HandlerResult<Option<Card>, Infallible> {
        Ok(cards.seen_by_caller().find(&query.0).await?)
    }
    #[derive(Clone, Query)]
    pub(super) struct Richest(pub(super) Option<Cursor>, pub(super) usize);
    #[handler]
    async fn richest(query: Richest, cards: Views<Card>) -> HandlerResult<Page<Card>, Infallible> {
        Ok(cards.page(Card::richest(), query.0.as_ref(), query.1).await?)
    }
}

async fn own_writes(app: AppBuilder) {
    let app = started(app).await;
    opened(&app, "kim").await;
    for balance in 1..=50 {
        paid_in(&app, "kim", 1).await;
        let found = app.send(FindCard("kim".into())).await.expect("the query succeeds");
        assert_eq!(found, Some(card("name of kim", balance)));
    }
    assert!(app.stop().await);
}

async fn unavailable() {
    let app = bank(Memory::new()).discover_part("it::views::queries").build().expect("the app builds");
    opened(&app, "kim").await;
    let started = Instant::now();
    let error = app.send(FindCard("kim".into())).await.expect_err("no projection runs");
    assert_eq!(
        (error.kind(), &*error.to_string()),
        (ErrorKind::Unavailable, "view card has not reached position 1 yet")
    );
    assert!(started.elapsed() >= Duration::from_secs(1), "{:?}", started.elapsed());
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    assert_eq!(app.send(queries::FindEventually("kim".into())).await.expect("an eventual read does not wait"), None);
}

/// Simulates two processes on one database. A projection has to reach the position that the other process has
/// committed.
async fn token() {
    let memory = Memory::new();
    let writer = bank(memory.clone()).build().expect("the app builds");
    let reader = bank(memory).build().expect("the app builds");
    opened(&writer, "kim").await;
    let pay = crate::bank::Pay { id: "kim".into(), amount: 5 };
    let at = writer.with(Metadata::NONE).send_committed(pay).await.expect("the payment succeeds").position;
    assert_eq!(reader.send(FindCard("kim".into())).await.expect("without a token the query does not wait"), None);
    let query = reader.with(Metadata::default().token(writer.token(at)));
    let pending = tokio::spawn(async move { query.send(FindCard("kim".into())).await });
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(!pending.is_finished());
    // The projection runs in the other process, so only the stored checkpoint shows its progress.
    for mut follower in writer.log_followers() {
        let _ = follower.step().await.expect("the event is applied");
    }
    assert_eq!(
        pending.await.expect("the task does not panic").expect("the query succeeds"),
        Some(card("name of kim", 5))
    );
}

async fn seen_by_caller() {
    // No projection runs, so a read that waits fails.
    let app = bank(Memory::new()).discover_part("it::views::queries").build().expect("the app builds");
    opened(&app, "kim").await;
    let find = || queries::FindSeen("kim".into());
    assert_eq!(app.send(find()).await.expect("the commit of this process is not awaited"), None);
    let seen = app.with(Metadata::default().token(app.token(Position(1))));
    assert_eq!(seen.send(find()).await.expect_err("the token is awaited").kind(), ErrorKind::Unavailable);
}

/// Counts the reads of checkpoints.
#[derive(Clone, Default)]
struct Counted {
    memory: Memory,
    checkpoints: Arc<AtomicUsize>,
}
#[async_trait::async_trait]
impl StorageLayer for Counted {
    fn inner(&self) -> &dyn Storage {
        &self.memory
    }
    async fn checkpoints(&self, readers: &[String]) -> Result<Vec<u64>, Fault> {
        self.checkpoints.fetch_add(1, Ordering::Relaxed);
        self.memory.checkpoints(readers).await
    }
}

async fn shared_poll() {
    const READS: usize = 100;
    let storage = Counted::default();
    // No projection runs, so every read waits until its time-out. Each alone would poll about a hundred times.
    let app = bank(storage.clone()).discover_part("it::views::queries").build().expect("the app builds");
    opened(&app, "kim").await;
    let reads = futures_util::future::join_all((0..READS).map(|_| app.send(FindCard("kim".into())))).await;
    assert!(reads.iter().all(|read| read.as_ref().is_err_and(|error| error.kind() == ErrorKind::Unavailable)));
    let polls = storage.checkpoints.load(Ordering::Relaxed);
    assert!((1..=2 * READS).contains(&polls), "{polls} polls");
}

async fn far_token() {
    let storage = Counted::default();
    let app = started(bank(storage.clone())).await;
    opened(&app, "kim").await;
    app.send(FindCard("kim".into())).await.expect("the projection runs");
    let before = storage.checkpoints.load(Ordering::Relaxed);
    let with = |token: ConsistencyToken| app.with(Metadata::default().token(token));
    let error = with(app.token(Position(1_000)))
        .send(FindCard("kim".into()))
        .await
        .expect_err("the log does not reach the position");
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert_eq!(error.to_string(), "the consistency token has position 1000, and the log ends at 1");
    assert_eq!(storage.checkpoints.load(Ordering::Relaxed), before, "the read did not wait");
    let other = with("other=1000".parse().expect("the token is valid"));
    assert!(other.send(FindCard("kim".into())).await.expect("a token of another service is ignored").is_some());
}

mod two {
    use super::{
        AccountEvent, Change, Deserialize, HandlerResult, Infallible, Query, Recorded, Serialize, View, Views, handler,
        projection,
    };
    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize, View)]
    #[view(name = "tally", key = String)]
    pub(super) struct Tally {
        pub(super) of: Vec<String>,
    }
    fn add(id: &str, event: &'static str) -> Change<Tally> {
        Change::none().and(id.to_owned(), move |found| {
            let mut tally = found.unwrap_or(Tally { of: vec![] });
            tally.of.push(event.into());
            Some(tally)
        })
    }
    #[projection(name = "tally-opened")]
    fn opened(event: &Recorded<AccountEvent>) -> Change<Tally> {
        if let AccountEvent::Opened { .. } = event.event { add(&event.aggregate_id, "opened") } else { Change::none() }
    }
    #[projection(name = "tally-paid")]
    fn paid(event: &Recorded<AccountEvent>) -> Change<Tally> {
        if let AccountEvent::Paid { .. } = event.event { add(&event.aggregate_id, "paid") } else { Change::none() }
    }
    #[derive(Clone, Query)]
    pub(super) struct FindTally(pub(super) String);
    #[handler]
    async fn find_tally(query: FindTally, tallies: Views<Tally>) -> HandlerResult<Option<Tally>, Infallible> {
        Ok(tallies.find(&query.0).await?)
    }
}
async fn two_projections() {
    let app = started(bank(Memory::new()).discover_part("it::views::two")).await;
    for account in 0..20 {
        opened(&app, &account.to_string()).await;
        paid_in(&app, &account.to_string(), 1).await;
        let tally = app
            .send(two::FindTally(account.to_string()))
            .await
            .expect("the query waits for both")
            .expect("the tally exists");
        assert_eq!(tally.of.len(), 2, "{tally:?}");
    }
}

async fn page(app: &App, after: Option<Cursor>, limit: usize) -> Page<Card> {
    app.send(queries::Richest(after, limit)).await.expect("the query succeeds")
}
async fn pages(app: AppBuilder) {
    let app = started(app.discover_part("it::views::queries")).await;
    for account in 0..7 {
        opened(&app, &account.to_string()).await;
        paid_in(&app, &account.to_string(), account / 2).await;
    }
    let (mut all, mut after, mut sizes) = (Vec::new(), None, Vec::new());
    loop {
        let found = page(&app, after, 3).await;
        sizes.push(found.items.len());
        all.extend(found.items.into_iter().map(|card| card.balance));
        // A client sends the cursor back as text.
        let Some(next) = found.next else { break };
        after = Some(next.to_string().parse().expect("the cursor can be parsed"));
    }
    assert_eq!(sizes, [3, 3, 1]);
    assert_eq!(all, [3, 2, 2, 1, 1, 0, 0]);
    let whole = page(&app, None, 7).await;
    assert_eq!((whole.items.len(), whole.next), (7, None));
    assert_eq!(page(&app, None, 0).await.items.len(), 1);
    assert_eq!(page(&app, None, usize::MAX).await.items.len(), 7);
    assert!(app.stop().await);
}

mod addresses {
    use super::{AccountEvent, Change, Deserialize, HandlerResult, Query, Recorded, Serialize, View, Views};
    use cqrs_core::{Cursor, Page, Range, handler, projection};

    /// The parts of an account's name, which has the form `country|city|number`.
    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize, View)]
    #[view(name = "address", key = String)]
    #[index(by_place(country, city, -number))]
    pub(super) struct Address {
        country: String,
        city: String,
        pub(super) number: u32,
    }
    #[projection(name = "address")]
    fn address(event: &Recorded<AccountEvent>) -> Change<Address> {
        let AccountEvent::Opened { name } = &event.event else { return Change::none() };
        let [country, city, number] = name.split('|').collect::<Vec<_>>()[..] else { return Change::none() };
        let number = number.parse().expect("the test writes numbers");
        Address { country: country.into(), city: city.into(), number }.put(event.aggregate_id.clone())
    }
    #[derive(Clone, Default, Query)]
    pub(super) struct Addresses {
        pub(super) country: Option<&'static str>,
        pub(super) city: Option<&'static str>,
        pub(super) number: Option<u32>,
        pub(super) after: Option<Cursor>,
        pub(super) limit: usize,
    }
    #[handler]
    async fn addresses(query: Addresses, views: Views<Address>) -> HandlerResult<Page<Address>> {
        let range: Range<Address> = match (query.country, query.city, query.number) {
            (Some(country), Some(city), Some(number)) => {
                Address::by_place().country(country).city(city).number(number).into()
            }
            (Some(country), Some(city), _) => Address::by_place().country(country).city(city).into(),
            (Some(country), ..) => Address::by_place().country(country).into(),
            _ => Address::by_place().into(),
        };
        Ok(views.page(range, query.after.as_ref(), query.limit).await?)
    }
}
async fn columns(app: AppBuilder) {
    use addresses::Addresses;
    let app = started(app.discover_part("it::views::addresses")).await;
    // The texts of the two columns together are the same for `ab|c` and `a|bc`.
    for (id, name) in ["ab|c|4", "a|bc|1", "a|bc|3", "ab|c|5", "|abc|7", "a|b|2", "a||6"].iter().enumerate() {
        let open = crate::bank::Open { id: id.to_string(), name: (*name).into() };
        app.send(open).await.expect("the account opens");
    }
    let found = async |query: Addresses| {
        let page = app.send(Addresses { limit: 10, ..query }).await.expect("the query succeeds");
        page.items.iter().map(|address| address.number).collect::<Vec<_>>()
    };
    let all = Addresses::default();
    assert_eq!(found(all.clone()).await, [7, 6, 2, 3, 1, 5, 4]);
    let a = Addresses { country: Some("a"), ..all.clone() };
    assert_eq!(found(a.clone()).await, [6, 2, 3, 1]);
    assert_eq!(found(Addresses { country: Some(""), ..all.clone() }).await, [7]);
    let bc = Addresses { city: Some("bc"), ..a.clone() };
    assert_eq!(found(bc.clone()).await, [3, 1]);
    assert_eq!(found(Addresses { city: Some(""), ..a.clone() }).await, [6]);
    assert_eq!(found(Addresses { country: Some("ab"), ..bc.clone() }).await, [0; 0]);
    assert_eq!(found(Addresses { number: Some(1), ..bc.clone() }).await, [1]);
    assert_eq!(found(Addresses { number: Some(2), ..bc }).await, [0; 0]);
    let first = app.send(Addresses { limit: 3, ..a.clone() }).await.expect("the query succeeds");
    let rest = app.send(Addresses { limit: 3, after: first.next, ..a }).await.expect("the query succeeds");
    assert_eq!((rest.items[0].number, rest.items.len(), rest.next), (1, 1, None));
    assert!(app.stop().await);
}

pub(crate) mod tickets {
    use super::{AccountEvent, Change, Deserialize, HandlerResult, Query, Recorded, Serialize, View, Views};
    use cqrs_core::{Cursor, Page, Range, handler, projection};

    /// The parts of an account's name, which has the form `owner|open|opened|id`.
    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize, View)]
    #[view(name = "ticket", key = String)]
    #[index(by_owner(owner, open, -opened))]
    #[index(newest(-opened))]
    pub(crate) struct Ticket {
        pub(crate) owner: String,
        pub(crate) open: bool,
        pub(crate) opened: i64,
        pub(crate) id: String,
    }
    #[projection(name = "ticket")]
    fn ticket(event: &Recorded<AccountEvent>) -> Change<Ticket> {
        let id = event.aggregate_id.clone();
        match &event.event {
            AccountEvent::Opened { name } => {
                let [owner, open, opened, _] = name.split('|').collect::<Vec<_>>()[..] else { return Change::none() };
                let opened = opened.parse().expect("the test writes numbers");
                Ticket { owner: owner.into(), open: open == "true", opened, id: id.clone() }.put(id)
            }
            AccountEvent::Paid { .. } => Ticket::remove(id),
            AccountEvent::Renamed { .. } => Change::none(),
        }
    }
    #[derive(Clone, Query)]
    pub(crate) struct FindTickets(pub(crate) Range<Ticket>, pub(crate) Option<Cursor>, pub(crate) usize);
    #[handler]
    async fn find_tickets(query: FindTickets, tickets: Views<Ticket>) -> HandlerResult<Page<Ticket>> {
        Ok(tickets.page(query.0, query.1.as_ref(), query.2).await?)
    }
    #[derive(Clone, Query)]
    pub(crate) struct LastTickets(pub(crate) Range<Ticket>, pub(crate) usize);
    #[handler]
    async fn last_tickets(query: LastTickets, tickets: Views<Ticket>) -> HandlerResult<Page<Ticket>> {
        Ok(tickets.last_page(query.0, query.1).await?)
    }
    #[derive(Clone, Query)]
    pub(crate) struct CountTickets(pub(crate) Range<Ticket>);
    /// Returns the count, and the count up to five.
    #[handler]
    async fn count_tickets(query: CountTickets, tickets: Views<Ticket>) -> HandlerResult<(u64, u64)> {
        Ok((tickets.count(query.0.clone()).await?, tickets.count_up_to(query.0, 5).await?))
    }
    #[derive(Clone, Query)]
    pub(crate) struct TicketsOf(pub(crate) Vec<String>);
    #[handler]
    async fn tickets_of(query: TicketsOf, tickets: Views<Ticket>) -> HandlerResult<Vec<Option<Ticket>>> {
        Ok(tickets.find_all(&query.0).await?)
    }
}
use tickets::{CountTickets, FindTickets, LastTickets, Ticket, TicketsOf};

async fn open_ticket(app: &App, id: &str, owner: &str, open: bool, opened: i64) {
    let open = crate::bank::Open { id: id.into(), name: format!("{owner}|{open}|{opened}|{id}") };
    app.send(open).await.expect("the account opens");
}
/// Opens random tickets, many with equal columns, and returns them in the order of the index `by_owner`.
async fn open_tickets(app: &App, count: usize) -> Vec<Ticket> {
    let mut random = fastrand::Rng::with_seed(12);
    let mut all = Vec::new();
    for number in 0..count {
        let (id, owner) = (format!("{:02}", (number * 37) % count), ["", "kim", "kima", "lee"][random.usize(..4)]);
        let ticket = Ticket { owner: owner.into(), open: random.bool(), opened: random.i64(-3..6), id };
        open_ticket(app, &ticket.id, owner, ticket.open, ticket.opened).await;
        all.push(ticket);
    }
    all.sort_by(|a, b| (&a.owner, a.open, -a.opened, &a.id).cmp(&(&b.owner, b.open, -b.opened, &b.id)));
    all
}
async fn tickets_page(app: &App, range: &Range<Ticket>, at: Option<&Cursor>, limit: usize) -> Page<Ticket> {
    // A client sends the cursor back as text.
    let at = at.map(|cursor| cursor.to_string().parse().expect("the cursor can be parsed"));
    app.send(FindTickets(range.clone(), at, limit)).await.expect("the query succeeds")
}
/// Reads all pages in one direction, and returns the values in the order of the range and the last page.
async fn walk(
    app: &App,
    range: &Range<Ticket>,
    mut page: Page<Ticket>,
    limit: usize,
    is_backwards: bool,
) -> (Vec<Ticket>, Page<Ticket>) {
    let mut all = page.items.clone();
    loop {
        let Some(at) = (if is_backwards { &page.previous } else { &page.next }) else { return (all, page) };
        page = tickets_page(app, range, Some(at), limit).await;
        let is_last = (if is_backwards { &page.previous } else { &page.next }).is_none();
        assert!(is_last || page.items.len() == limit, "a page before the last one is full");
        let place = if is_backwards { 0..0 } else { all.len()..all.len() };
        all.splice(place, page.items.clone());
    }
}

/// Walks through random tickets by every kind of range, and compares each walk with the tickets that Rust selects.
async fn walks(app: AppBuilder) {
    type Selected = fn(&Ticket) -> bool;
    let app = started(app.discover_part("it::views::tickets")).await;
    let all = open_tickets(&app, 60).await;
    let of_kim = || Ticket::by_owner().owner("kim");
    let ranges: [(Range<Ticket>, Selected); 12] = [
        (Ticket::by_owner().into(), |_| true),
        (of_kim().into(), |ticket| ticket.owner == "kim"),
        (Ticket::by_owner().owner_in("kim"..), |ticket| &*ticket.owner >= "kim"),
        (Ticket::by_owner().owner_in("".."kima"), |ticket| &*ticket.owner < "kima"),
        (Ticket::by_owner().owner_in(..="kima"), |ticket| &*ticket.owner <= "kima"),
        (of_kim().open_in(true..), |ticket| ticket.owner == "kim" && ticket.open),
        (of_kim().open(true).opened_in(-1..3), |t| t.owner == "kim" && t.open && (-1..3).contains(&t.opened)),
        (of_kim().open(false).opened_in(0..=3), |t| t.owner == "kim" && !t.open && (0..=3).contains(&t.opened)),
        (of_kim().open(false).opened(2).into(), |t| t.owner == "kim" && !t.open && t.opened == 2),
        (of_kim().open(false).opened_in(..2), |t| t.owner == "kim" && !t.open && t.opened < 2),
        (of_kim().open(true).opened_in((Bound::Included(3), Bound::Excluded(-1))), |_| false),
        (Ticket::by_owner().owner("nobody").into(), |_| false),
    ];
    for (number, (range, selected)) in ranges.into_iter().enumerate() {
        let mut expected: Vec<_> = all.iter().filter(|ticket| selected(ticket)).cloned().collect();
        let count = expected.len() as u64;
        for range in [range.clone(), range.reversed()] {
            let counts = app.send(CountTickets(range.clone())).await.expect("the query succeeds");
            assert_eq!(counts, (count, count.min(5)), "range {number}");
            for limit in [1, 3, 7, 60, 100] {
                let first = tickets_page(&app, &range, None, limit).await;
                assert_eq!(first.previous, None, "range {number}");
                let (found, last) = walk(&app, &range, first.clone(), limit, false).await;
                assert_eq!(found, expected, "range {number}, pages of {limit}");
                let (before, again) = walk(&app, &range, last.clone(), limit, true).await;
                assert_eq!(before, expected, "range {number}, back from the end by pages of {limit}");
                assert_eq!(again.previous, None, "range {number}");
                let last = app.send(LastTickets(range.clone(), limit)).await.expect("the query succeeds");
                assert_eq!(last.next, None, "range {number}");
                let (found, _) = walk(&app, &range, last, limit, true).await;
                assert_eq!(found, expected, "range {number}, from the last page of {limit}");
            }
            expected.reverse();
        }
    }
    assert!(app.stop().await);
}

async fn changing(app: AppBuilder) {
    let app = started(app.discover_part("it::views::tickets")).await;
    for opened in (0..100).step_by(10) {
        open_ticket(&app, &format!("t{opened:02}"), "kim", true, opened).await;
    }
    let range: Range<Ticket> = Ticket::newest().reversed();
    let opened = |page: &Page<Ticket>| page.items.iter().map(|ticket| ticket.opened).collect::<Vec<_>>();
    let first = tickets_page(&app, &range, None, 3).await;
    assert_eq!(opened(&first), [0, 10, 20]);
    // The value at the cursor goes, and others come before and after it.
    paid_in(&app, "t20", 1).await;
    open_ticket(&app, "t15", "kim", true, 15).await;
    open_ticket(&app, "t25", "kim", true, 25).await;
    let second = tickets_page(&app, &range, first.next.as_ref(), 3).await;
    assert_eq!(opened(&second), [25, 30, 40]);
    open_ticket(&app, "t24", "kim", true, 24).await;
    let back = tickets_page(&app, &range, second.previous.as_ref(), 3).await;
    assert_eq!(opened(&back), [10, 15, 24], "what came before the page is before it");
    let again = tickets_page(&app, &range, back.next.as_ref(), 3).await;
    assert_eq!(opened(&again), [25, 30, 40]);
    // A page of which nothing is left leads to what is beside it, in both directions.
    for id in ["t50", "t60", "t70", "t80", "t90"] {
        paid_in(&app, id, 1).await;
    }
    let empty = tickets_page(&app, &range, again.next.as_ref(), 3).await;
    assert_eq!((opened(&empty), &empty.next), (vec![], &None));
    assert_eq!(opened(&tickets_page(&app, &range, empty.previous.as_ref(), 3).await), [25, 30, 40]);
    let first = tickets_page(&app, &range, back.previous.as_ref(), 3).await;
    assert_eq!((opened(&first), &first.previous), (vec![0], &None));
    paid_in(&app, "t00", 1).await;
    let empty = tickets_page(&app, &range, back.previous.as_ref(), 3).await;
    assert_eq!((opened(&empty), &empty.previous), (vec![], &None));
    assert_eq!(opened(&tickets_page(&app, &range, empty.next.as_ref(), 3).await), [10, 15, 24]);
    assert!(app.stop().await);
}

async fn other_cursors(app: AppBuilder) {
    let app = started(app.discover_part("it::views::tickets").discover_part("it::views::queries")).await;
    let _ = open_tickets(&app, 30).await;
    let of_kim = || Ticket::by_owner().owner("kim");
    let ranges: [Range<Ticket>; 9] = [
        Ticket::by_owner().into(),
        Ticket::by_owner().reversed(),
        Ticket::newest().into(),
        of_kim().into(),
        Ticket::by_owner().owner("lee").into(),
        of_kim().open_in(..),
        of_kim().open_in(false..),
        of_kim().open(true).into(),
        Ticket::by_owner().owner_in("kim"..),
    ];
    for (from, range) in ranges.iter().enumerate() {
        let Some(cursor) = tickets_page(&app, range, None, 1).await.next else { panic!("range {from} has one page") };
        for (to, other) in ranges.iter().enumerate() {
            let found = app.send(FindTickets(other.clone(), Some(cursor.clone()), 1)).await;
            // Bounds without a limit are the range of the columns before.
            if from == to || [from, to].iter().all(|place| [3, 5].contains(place)) {
                assert_eq!(found.expect("the cursor belongs to the range").items.len(), 1);
                continue;
            }
            let refused = found.expect_err("the cursor belongs to another range");
            assert!(matches!(refused, cqrs_core::Error::CursorOfAnotherRange(_)), "{from} to {to}: {refused:?}");
            assert_eq!((refused.kind(), &*refused.reason()), (ErrorKind::Invalid, "CURSOR_OF_ANOTHER_RANGE"));
        }
        // A view of another name.
        let refused = app.send(queries::Richest(Some(cursor), 1)).await;
        assert!(matches!(refused, Err(cqrs_core::Error::CursorOfAnotherRange(_))), "{refused:?}");
    }
    assert!(app.stop().await);
}

async fn several(app: AppBuilder) {
    let app = started(app.discover_part("it::views::tickets")).await;
    for id in ["a", "b", "c"] {
        open_ticket(&app, id, "kim", true, 1).await;
    }
    paid_in(&app, "b", 1).await;
    let found = async |ids: &[&str]| {
        let query = TicketsOf(ids.iter().map(|id| (*id).to_owned()).collect());
        let found = app.send(query).await.expect("the query succeeds");
        found.into_iter().map(|ticket| ticket.map(|ticket| ticket.id)).collect::<Vec<_>>()
    };
    let some = |id: &str| Some(id.to_owned());
    assert_eq!(found(&["c", "b", "unknown", "a", "c"]).await, [some("c"), None, None, some("a"), some("c")]);
    assert_eq!(found(&[]).await, []);
    assert!(app.stop().await);
}

mod brittle {
    use super::{AccountEvent, Card, Change, Recorded, View, projection};
    use std::sync::atomic::{AtomicU32, Ordering};
    pub(super) static ATTEMPTS: AtomicU32 = AtomicU32::new(0);
    #[projection(name = "brittle")]
    fn brittle(event: &Recorded<AccountEvent>) -> Change<Card> {
        let id = event.aggregate_id.clone();
        match event.event.clone() {
            AccountEvent::Opened { name } => Card { name, balance: 0 }.put(id),
            AccountEvent::Paid { .. } => Card::update(id, |card| {
                assert!(ATTEMPTS.fetch_add(1, Ordering::SeqCst) > 0, "seeded: the first attempt fails");
                card.balance = 100;
            }),
            AccountEvent::Renamed { .. } => Change::none(),
        }
    }
}
async fn panics() {
    let app = App::builder("brittle").discover_part("it::views::brittle").discover_part("it::bank");
    let app = started(app.aggregate(cqrs_core::StateStored::<Account>::new())).await;
    opened(&app, "kim").await;
    paid_in(&app, "kim", 1).await;
    until("the change is retried", async || brittle::ATTEMPTS.load(std::sync::atomic::Ordering::SeqCst) > 1).await;
    app.settle().await;
    assert!(app.stop().await);
}

mod counters {
    use super::{
        AccountEvent, Change, Deserialize, HandlerResult, Infallible, Query, Recorded, Serialize, View, Views, handler,
        projection,
    };
    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize, View)]
    #[view(name = "counter", key = String)]
    pub(super) struct Counter(pub(super) i64);
    /// Puts and updates on opening, removes on a new name, updates on a payment.
    #[projection(name = "counter")]
    fn counter(event: &Recorded<AccountEvent>) -> Change<Counter> {
        let id = event.aggregate_id.clone();
        match event.event {
            AccountEvent::Opened { .. } => {
                Counter(0).put(id.clone()).then(Counter::update(id, |counter| counter.0 += 1))
            }
            AccountEvent::Renamed { .. } => Counter::remove(id),
            AccountEvent::Paid { amount } => Counter::update(id, move |counter| counter.0 += amount),
        }
    }
    #[derive(Clone, Query)]
    pub(super) struct FindCounter(pub(super) String);
    #[handler]
    async fn find_counter(query: FindCounter, counters: Views<Counter>) -> HandlerResult<Option<Counter>, Infallible> {
        Ok(counters.find(&query.0).await?)
    }
}
async fn changes() {
    let app = started(bank(Memory::new()).discover_part("it::views::counters")).await;
    let found = async || {
        app.send(counters::FindCounter("kim".into())).await.expect("the query succeeds").map(|counter| counter.0)
    };
    assert_eq!(found().await, None);
    opened(&app, "kim").await;
    assert_eq!(found().await, Some(1));
    paid_in(&app, "kim", 5).await;
    assert_eq!(found().await, Some(6));
    app.send(crate::bank::Rename { id: "kim".into(), name: "kay".into() }).await.expect("the name is free");
    assert_eq!(found().await, None);
    paid_in(&app, "kim", 5).await;
    assert_eq!(found().await, None);
}
