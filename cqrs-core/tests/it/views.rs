//! What a query sees of a view: what was committed before it, in order, page by page.
use crate::{
    bank::{Account, AccountEvent, Card, FindCard, bank, on_each, opened, paid_in, until},
    trials::trial,
};
use cqrs_core::{
    App, Change, Cursor, ErrorKind, Metadata, Never, Page, Position, PositionToken, Query, Result, Running, View,
    Views, handler, projection, storage::Memory, testing::TestApp,
};
use libtest_mimic::Trial;
use serde::{Deserialize, Serialize};
use std::time::{Duration, Instant};

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = vec![
        trial("views: what does not run is unavailable after a second", unavailable),
        trial("views: a token of another process is waited for", token),
        trial("views: a token that nothing will reach is unavailable", far_token),
        trial("views: two projections keep one view", two_projections),
        trial("views: a change that panics is tried again", panics),
        trial("views: a change alters, removes and puts", changes),
    ];
    trials.extend(on_each("views: a query sees what this process has committed", own_writes));
    trials.extend(on_each("views: pages follow each other without a gap", pages));
    trials
}
fn card(name: &str, balance: i64) -> Card {
    Card { name: name.into(), balance }
}
async fn started(app: App) -> TestApp {
    TestApp::start(app).await.expect("it starts")
}

mod asks {
    use super::{Card, Cursor, Never, Page, Query, Result, Views, handler};
    #[derive(Clone, Query)]
    pub(super) struct FindEventually(pub(super) String);
    #[handler]
    async fn find_eventually(query: FindEventually, cards: Views<Card>) -> Result<Option<Card>, Never> {
        Ok(cards.eventually().get(&query.0).await?)
    }
    #[derive(Clone, Query)]
    pub(super) struct Richest(pub(super) Option<Cursor>, pub(super) usize);
    #[handler]
    async fn richest(query: Richest, cards: Views<Card>) -> Result<Page<Card>, Never> {
        Ok(cards.page(Card::richest(), query.0.as_ref(), query.1).await?)
    }
}

async fn own_writes(app: App) {
    let app = started(app).await;
    opened(&app, "kim").await;
    for balance in 1..=50 {
        paid_in(&app, "kim", 1).await;
        let found = app.send(FindCard("kim".into())).await.expect("it is there");
        assert_eq!(found, Some(card("name of kim", balance)));
    }
    assert!(app.stop().await);
}

async fn unavailable() {
    let app = bank(Memory::new()).discover("it::views::asks").build().expect("it fits together");
    opened(&app, "kim").await;
    let started = Instant::now();
    let error = app.send(FindCard("kim".into())).await.expect_err("nothing keeps it up to date");
    assert_eq!(
        (error.kind(), &*error.to_string()),
        (ErrorKind::Unavailable, "view card has not reached position 1 yet")
    );
    assert!(started.elapsed() >= Duration::from_secs(1), "{:?}", started.elapsed());
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    assert_eq!(app.send(asks::FindEventually("kim".into())).await.expect("it does not wait"), None);
}

/// Two processes on one database, as far as memory can tell: what one commits, the other's projection has to reach.
async fn token() {
    let memory = Memory::new();
    let writer = bank(memory.clone()).build().expect("it fits together");
    let reader = bank(memory).build().expect("it fits together");
    opened(&writer, "kim").await;
    let pay = crate::bank::Pay { id: "kim".into(), amount: 5 };
    let (_, at) = writer.with(Metadata::NONE).send_at(pay).await.expect("it is paid");
    assert_eq!(reader.send(FindCard("kim".into())).await.expect("it has nothing to wait for"), None);
    let asks = reader.with(Metadata::default().token(writer.token(at)));
    let asked = tokio::spawn(async move { asks.send(FindCard("kim".into())).await });
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(!asked.is_finished());
    // The projection runs in the other process: only the stored position can tell.
    for mut follower in writer.log_followers() {
        let _ = follower.step().await.expect("it is applied");
    }
    assert_eq!(asked.await.expect("no panic").expect("it is there"), Some(card("name of kim", 5)));
}

async fn far_token() {
    let app = started(bank(Memory::new())).await;
    opened(&app, "kim").await;
    let with = |token: PositionToken| app.with(Metadata::default().token(token));
    let error = with(app.token(Position(1_000))).send(FindCard("kim".into())).await.expect_err("nothing lies there");
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    let other = with("other=1000".parse().expect("it is one"));
    assert!(other.send(FindCard("kim".into())).await.expect("another's log").is_some());
}

mod two {
    use super::{AccountEvent, Change, Deserialize, Never, Query, Result, Serialize, View, Views, handler, projection};
    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize, View)]
    #[view(name = "tally", key = String)]
    pub(super) struct Tally {
        pub(super) of: Vec<String>,
    }
    fn add(id: String, what: &'static str) -> Change<Tally> {
        Change::none().and(id, move |found| {
            let mut tally = found.unwrap_or(Tally { of: vec![] });
            tally.of.push(what.into());
            Some(tally)
        })
    }
    #[projection(name = "tally-opened")]
    fn opened(event: &AccountEvent) -> Change<Tally> {
        if let AccountEvent::Opened { id, .. } = event { add(id.clone(), "opened") } else { Change::none() }
    }
    #[projection(name = "tally-paid")]
    fn paid(event: &AccountEvent) -> Change<Tally> {
        if let AccountEvent::Paid { id, .. } = event { add(id.clone(), "paid") } else { Change::none() }
    }
    #[derive(Clone, Query)]
    pub(super) struct FindTally(pub(super) String);
    #[handler]
    async fn find_tally(query: FindTally, tallies: Views<Tally>) -> Result<Option<Tally>, Never> {
        Ok(tallies.get(&query.0).await?)
    }
}
async fn two_projections() {
    let app = started(bank(Memory::new()).discover("it::views::two")).await;
    for account in 0..20 {
        opened(&app, &account.to_string()).await;
        paid_in(&app, &account.to_string(), 1).await;
        let tally =
            app.send(two::FindTally(account.to_string())).await.expect("both are waited for").expect("it is there");
        assert_eq!(tally.of.len(), 2, "{tally:?}");
    }
}

async fn page(app: &Running, after: Option<Cursor>, limit: usize) -> Page<Card> {
    app.send(asks::Richest(after, limit)).await.expect("it can be read")
}
async fn pages(app: App) {
    let app = started(app.discover("it::views::asks")).await;
    for account in 0..7 {
        opened(&app, &account.to_string()).await;
        paid_in(&app, &account.to_string(), account / 2).await;
    }
    let (mut all, mut after, mut sizes) = (Vec::new(), None, Vec::new());
    loop {
        let found = page(&app, after, 3).await;
        sizes.push(found.items.len());
        all.extend(found.items.into_iter().map(|it| it.balance));
        // As a client sends it back.
        let Some(next) = found.next else { break };
        after = Some(next.to_string().parse().expect("it is a cursor"));
    }
    assert_eq!(sizes, [3, 3, 1]);
    assert_eq!(all, [3, 2, 2, 1, 1, 0, 0]);
    let whole = page(&app, None, 7).await;
    assert_eq!((whole.items.len(), whole.next), (7, None));
    assert_eq!(page(&app, None, 0).await.items.len(), 1);
    assert_eq!(page(&app, None, usize::MAX).await.items.len(), 7);
    assert!(app.stop().await);
}

mod brittle {
    use super::{AccountEvent, Card, Change, View, projection};
    use std::sync::atomic::{AtomicU32, Ordering};
    pub(super) static TRIED: AtomicU32 = AtomicU32::new(0);
    #[projection(name = "brittle")]
    fn brittle(event: &AccountEvent) -> Change<Card> {
        match event.clone() {
            AccountEvent::Opened { id, name } => Card { name, balance: 0 }.put(id),
            AccountEvent::Paid { id, .. } => Card::update(id, |card| {
                assert!(TRIED.fetch_add(1, Ordering::SeqCst) > 0, "planted: the first time");
                card.balance = 100;
            }),
            AccountEvent::Renamed { .. } => Change::none(),
        }
    }
}
async fn panics() {
    let app = App::new("brittle").discover("it::views::brittle").discover("it::bank");
    let app = started(app.aggregate(cqrs_core::Rows::<Account>::new())).await;
    opened(&app, "kim").await;
    paid_in(&app, "kim", 1).await;
    until("it is tried again", async || brittle::TRIED.load(std::sync::atomic::Ordering::SeqCst) > 1).await;
    app.settle().await;
    assert!(app.stop().await);
}

mod kept {
    use super::{AccountEvent, Change, Deserialize, Never, Query, Result, Serialize, View, Views, handler, projection};
    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize, View)]
    #[view(name = "kept", key = String)]
    pub(super) struct Kept(pub(super) i64);
    /// Opening puts and alters, a new name removes, a payment alters.
    #[projection(name = "kept")]
    fn keep(event: &AccountEvent) -> Change<Kept> {
        match event.clone() {
            AccountEvent::Opened { id, .. } => Kept(0).put(id.clone()).then(Kept::update(id, |it| it.0 += 1)),
            AccountEvent::Renamed { id, .. } => Kept::remove(id),
            AccountEvent::Paid { id, amount } => Kept::update(id, move |it| it.0 += amount),
        }
    }
    #[derive(Clone, Query)]
    pub(super) struct FindKept(pub(super) String);
    #[handler]
    async fn find_kept(query: FindKept, all: Views<Kept>) -> Result<Option<Kept>, Never> {
        Ok(all.get(&query.0).await?)
    }
}
async fn changes() {
    let app = started(bank(Memory::new()).discover("it::views::kept")).await;
    let found = async || app.send(kept::FindKept("kim".into())).await.expect("it can be read").map(|it| it.0);
    assert_eq!(found().await, None);
    opened(&app, "kim").await;
    assert_eq!(found().await, Some(1));
    paid_in(&app, "kim", 5).await;
    assert_eq!(found().await, Some(6));
    app.send(crate::bank::Rename { id: "kim".into(), name: "kay".into() }).await.expect("it is free");
    assert_eq!(found().await, None);
    paid_in(&app, "kim", 5).await;
    assert_eq!(found().await, None);
}
