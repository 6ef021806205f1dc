//! Followers of the log: events that a follower does not handle cost no commit and no wait.
use crate::{
    bank::{FindCard, PaymentMade, bank, opened, paid_in, until},
    clock::Clock,
    listener::{lock, record},
    trials::trial,
};
use async_trait::async_trait;
use cqrs_core::{
    Aggregate, App, Change, Command, ErrorKind, Event, Evolve, Fault, HandlerResult, Infallible, IntegrationEvent,
    Position, Query, Recorded, Repo, StateStored, View, Views,
    environment::Environment,
    event::Entry,
    handler,
    job::Step,
    projection,
    storage::{Batch, CommitError, Memory, ReadLimit, Storage},
    testing::StorageLayer,
    transport::{InProcess, Transport},
};
use libtest_mimic::Trial;
use serde::{Deserialize, Serialize};
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};
use uuid::Uuid;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("followers: events of other aggregates move the checkpoint without a commit of their own", no_commit),
        trial("followers: a checkpoint that no handled event moves is stored after 200 ms", stored_later),
        trial("followers: a follower that stops stores the position that it has reached, once", stored_at_the_end),
        trial("followers: the lag counts the events that a reader handles", lag),
        trial("followers: all followers at the end of the log share one read of it", one_read),
        trial("followers: a follower that is far behind passes over the events of others in one step", far_behind),
        trial("followers: a query does not wait for events that its projection does not handle", no_wait),
        trial("followers: a projection waits for the next tick, so that the events until then share a batch", tick),
        trial("followers: a projection on a topic joins a group of its own, and passes over other events", on_topic),
    ]
}

mod notes {
    use super::{
        Aggregate, Change, Command, Deserialize, Event, Evolve, HandlerResult, Infallible, Query, Recorded, Repo,
        Serialize, View, Views, handler, projection,
    };

    #[derive(Debug, Clone, Serialize, Deserialize, Aggregate)]
    #[aggregate(name = "note", event = NoteEvent)]
    pub(super) struct Note {
        #[id]
        id: u64,
    }
    #[derive(Debug, Clone, Serialize, Deserialize, Event)]
    #[event(name = "note", version = 1)]
    pub(super) enum NoteEvent {
        Written,
    }
    impl Evolve<NoteEvent> for Note {
        fn create(id: u64, _: &NoteEvent) -> Option<Self> {
            Some(Note { id })
        }
        fn apply(&mut self, _: &NoteEvent) {}
    }
    #[derive(Debug, Clone, Serialize, Deserialize, Command)]
    pub(super) struct WriteNote(pub(super) u64);
    #[handler]
    async fn write_note(command: WriteNote, notes: Repo<Note>) -> HandlerResult<(), Infallible> {
        notes.create(command.0, NoteEvent::Written)?;
        Ok(())
    }
    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize, View)]
    #[view(name = "note", key = u64)]
    pub(super) struct NoteView {}
    #[projection(name = "note")]
    fn note(event: &Recorded<NoteEvent>) -> Change<NoteView> {
        NoteView {}.put(event.aggregate_id)
    }
    #[derive(Clone, Query)]
    pub(super) struct FindNote(pub(super) u64);
    #[handler]
    async fn find_note(query: FindNote, notes: Views<NoteView>) -> HandlerResult<Option<NoteView>, Infallible> {
        Ok(notes.find(&query.0).await?)
    }
}
use notes::{FindNote, Note, WriteNote};

/// Counts the reads of the log and the commits that move the checkpoint of the notes.
#[derive(Clone, Default)]
struct Counted {
    memory: Memory,
    reads: Arc<AtomicUsize>,
    moves: Arc<AtomicUsize>,
}
#[async_trait]
impl StorageLayer for Counted {
    fn inner(&self) -> &dyn Storage {
        &self.memory
    }
    async fn log(&self, after: Position, upto: Position, limit: ReadLimit) -> Result<Vec<Entry>, Fault> {
        self.reads.fetch_add(1, SeqCst);
        self.memory.log(after, upto, limit).await
    }
    async fn commit(&self, batch: Batch) -> Result<Position, CommitError> {
        let moves = batch.checkpoint_moves.iter().filter(|moved| moved.reader == NOTES).count();
        self.moves.fetch_add(moves, SeqCst);
        self.memory.commit(batch).await
    }
}
/// The checkpoint of the projection of notes.
const NOTES: &str = "projection/note";

fn app(storage: Counted, clock: Clock) -> App {
    let app = bank(storage).discover_part("it::followers::notes").aggregate(StateStored::<Note>::new());
    app.environment(Arc::new(clock) as Arc<dyn Environment>).build().expect("the app builds")
}
async fn stored(storage: &Counted) -> u64 {
    storage.memory.checkpoints(&[NOTES.to_owned()]).await.expect("the memory answers")[0]
}

async fn no_commit() {
    let (storage, clock) = (Counted::default(), Clock::default());
    let app = app(storage.clone(), clock);
    let mut followers = app.log_followers();
    let notes = followers.iter_mut().find(|follower| follower.name() == NOTES).expect("the projection of notes");
    opened(&app, "kim").await;
    for _ in 0..50 {
        paid_in(&app, "kim", 1).await;
        assert_eq!(notes.step().await.expect("the step succeeds"), Step::Did(0));
        let Step::IdleFor(Position(_), _) = notes.step().await.expect("the step succeeds") else {
            panic!("there is an unstored checkpoint");
        };
    }
    assert_eq!((storage.moves.load(SeqCst), stored(&storage).await), (0, 0));
    assert_eq!(app.lag().await.expect("the memory answers").get(NOTES), None, "the follower has seen all of the log");
    // The next handled event moves the checkpoint over all of them.
    app.send(WriteNote(7)).await.expect("the note is new");
    assert_eq!(notes.step().await.expect("the step succeeds"), Step::Did(1));
    assert_eq!((storage.moves.load(SeqCst), stored(&storage).await), (1, 52));
    assert!(app.send(FindNote(7)).await.expect("the view has caught up").is_some());
}

async fn lag() {
    let app = app(Counted::default(), Clock::default());
    opened(&app, "kim").await;
    for amount in 1..=3 {
        paid_in(&app, "kim", amount).await;
    }
    app.send(WriteNote(7)).await.expect("the note is new");
    let lag = async |reader: &str| {
        let lags = app.reader_lags().await.expect("the memory answers");
        let lag = lags.into_iter().find(|lag| lag.reader == reader).expect("a reader of the app");
        (lag.positions, lag.events)
    };
    assert_eq!((lag(NOTES).await, lag("projection/card").await), ((5, 1), (5, 4)));
    let mut followers = app.log_followers();
    for follower in &mut followers {
        follower.step().await.expect("the step succeeds");
    }
    assert_eq!((lag(NOTES).await, lag("projection/card").await), ((0, 0), (0, 0)));
}

async fn stored_later() {
    let (storage, clock) = (Counted::default(), Clock::default());
    let app = app(storage.clone(), clock.clone());
    let mut followers = app.log_followers();
    let notes = followers.iter_mut().find(|follower| follower.name() == NOTES).expect("the projection of notes");
    clock.set(10_000);
    opened(&app, "kim").await;
    assert_eq!(notes.step().await.expect("the step succeeds"), Step::Did(0));
    let left = Duration::from_millis(200);
    assert_eq!(notes.step().await.expect("the step succeeds"), Step::IdleFor(Position(1), left));
    clock.set(10_150);
    paid_in(&app, "kim", 1).await;
    assert_eq!(notes.step().await.expect("the step succeeds"), Step::Did(0));
    let left = Duration::from_millis(50);
    assert_eq!(
        notes.step().await.expect("the step succeeds"),
        Step::IdleFor(Position(2), left),
        "counted from the first"
    );
    assert_eq!(stored(&storage).await, 0);
    clock.set(10_200);
    assert_eq!(notes.step().await.expect("the step succeeds"), Step::Did(0));
    assert_eq!((storage.moves.load(SeqCst), stored(&storage).await), (1, 2));
    assert_eq!(notes.step().await.expect("the step succeeds"), Step::Idle(Position(2)));
}

async fn stored_at_the_end() {
    let storage = Counted::default();
    let app = app(storage.clone(), Clock::default());
    let mut followers = app.log_followers();
    let notes = followers.iter_mut().find(|follower| follower.name() == NOTES).expect("the projection of notes");
    opened(&app, "kim").await;
    assert_eq!(notes.step().await.expect("the step succeeds"), Step::Did(0));
    assert_eq!((storage.moves.load(SeqCst), stored(&storage).await), (0, 0));
    for _ in 0..2 {
        notes.release().await;
        assert_eq!((storage.moves.load(SeqCst), stored(&storage).await), (1, 1));
    }
}

async fn one_read() {
    let (storage, clock) = (Counted::default(), Clock::default());
    let app = app(storage.clone(), clock);
    let mut followers = app.log_followers();
    assert!(followers.len() > 1, "{followers:?}");
    opened(&app, "kim").await;
    for round in 1..=10 {
        paid_in(&app, "kim", 1).await;
        for follower in &mut followers {
            follower.step().await.expect("the step succeeds");
        }
        assert_eq!(storage.reads.load(SeqCst), round);
    }
    assert_eq!(app.send(FindCard("kim".into())).await.expect("the view has caught up").expect("the card").balance, 10);
}

async fn far_behind() {
    let (storage, clock) = (Counted::default(), Clock::default());
    let app = app(storage.clone(), clock);
    opened(&app, "kim").await;
    for _ in 0..2_000 {
        paid_in(&app, "kim", 1).await;
    }
    app.send(WriteNote(7)).await.expect("the note is new");
    paid_in(&app, "kim", 1).await;
    let mut followers = app.log_followers();
    let notes = followers.iter_mut().find(|follower| follower.name() == NOTES).expect("the projection of notes");
    assert_eq!(notes.step().await.expect("the step succeeds"), Step::Did(1));
    assert!(app.send(FindNote(7)).await.expect("the view has caught up").is_some());
    assert_eq!(stored(&storage).await, 2_003, "the events after the handled one are passed in the same step");
}

async fn no_wait() {
    // No projection runs here, so a query that waits for one fails.
    let app = app(Counted::default(), Clock::default());
    opened(&app, "kim").await;
    assert_eq!(app.send(FindNote(7)).await.expect("no note was committed, so nothing is awaited"), None);
    app.send(WriteNote(7)).await.expect("the note is new");
    let error = app.send(FindNote(7)).await.expect_err("the projection has not run");
    assert_eq!(error.kind(), ErrorKind::Unavailable);
}

async fn on_topic() {
    let (memory, broker) = (Memory::new(), InProcess::new());
    let app = bank(memory.clone()).discover_part("it::blame::badges").transport(broker.clone());
    let app = app.build().expect("the app builds");
    let mut follower = app.topic_followers().await.expect("the broker answers").remove(0);
    let audience = broker.audiences(&[PaymentMade::TOPIC]).pop().expect("the group has joined");
    assert!(audience.0.contains("bank.topic-badge"), "{audience:?}");
    let mut other = record(&PaymentMade { id: "kim".into(), amount: 1 }, 1, Uuid::from_u128(1));
    other.headers.retain(|(name, _)| name != "ce_type");
    other.headers.push(("ce_type".into(), "another.event".into()));
    let payment = record(&PaymentMade { id: "lee".into(), amount: 2 }, 2, Uuid::from_u128(2));
    let running = tokio::spawn(async move { while follower.step().await.is_ok() {} });
    for record in [other, payment] {
        assert_eq!(broker.publish(&audience, &[record]).await.acknowledged, 1);
    }
    running.abort();
    let badges = memory.views("badge", &["kim".into(), "lee".into()]).await.expect("the memory answers");
    assert_eq!(badges.iter().map(|view| &*view.key).collect::<Vec<_>>(), ["lee"]);
    assert!(app.parked().list(&Default::default()).await.expect("the memory answers").is_empty());
}

async fn tick() {
    let clock = Clock::default();
    let environment: Arc<dyn Environment> = Arc::new(clock.clone());
    let app = App::builder("notes").discover_part("it::followers::notes").aggregate(StateStored::<Note>::new());
    let app = app.environment(environment).build().expect("the app builds");
    clock.set(1_003);
    let background = app.start().await.expect("the app starts");
    app.send(WriteNote(7)).await.expect("the note is new");
    // A tick is ten milliseconds, and all projections have the same ones.
    until("the projection waits for seven milliseconds", async || {
        lock(&clock.slept).contains(&Duration::from_millis(7))
    })
    .await;
    assert!(background.stop(Duration::from_secs(3_600)).await);
}
