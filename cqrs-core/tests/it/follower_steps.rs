//! A follower of the log step by step: the sizes of its batches, refused commits, parked keys, and look-ups of programs.
use crate::{
    bank::{FindCard, Pay, bank, opened, paid_in},
    clock::Clock,
    listener::lock,
    trials::trial,
};
use async_trait::async_trait;
use cqrs_core::{
    App, AppBuilder, ByteBudget, Fault, Metadata, Position, RetryPolicy,
    consumer::LogFollower,
    environment::Environment,
    job::Step,
    storage::{Batch, CommitError, Memory, Park, Parked, ParkedKey, ParkedPage, ReadLimit, Storage, StoredProgram},
    testing::StorageLayer,
};
use libtest_mimic::Trial;
use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering::SeqCst},
};
use uuid::Uuid;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("follower steps: a refused batch is halved until it is accepted, and grows again afterwards", halved),
        trial("follower steps: after a lost race no event is suspected", forgotten),
        trial("follower steps: an event that is named as faulty is tried three times, in batches of full size", named),
        trial("follower steps: a lost race costs no further read of the checkpoint", lost_race),
        trial("follower steps: a commit that meets a conflict is repeated twelve times", conflicts),
        trial("follower steps: up to 256 parked keys are known without a look-up", known_keys),
        trial("follower steps: of more than 256 parked keys those of a batch are looked up once", many_keys),
        trial("follower steps: a key that is parked as the 257th makes later keys be looked up", one_key_more),
        trial("follower steps: a query with a token looks up no parked message when there is none", none_parked),
        trial("follower steps: the followers share the byte budget equally", budget),
        trial("follower steps: a declared program looks for newer ones once a second", programs),
    ]
}

/// Memory that counts the calls of one process, and refuses some commits.
#[derive(Clone)]
struct Observed {
    memory: Memory,
    is_exclusive: bool,
    /// The largest number of views in a commit.
    largest: Arc<AtomicUsize>,
    /// The number of next commits that meet a conflict.
    conflicts: Arc<AtomicUsize>,
    /// The number of views of each commit that moves a checkpoint.
    commits: Arc<Mutex<Vec<usize>>>,
    checkpoint_reads: Arc<AtomicUsize>,
    parked_reads: Arc<AtomicUsize>,
    program_reads: Arc<AtomicUsize>,
    looked_up: Arc<Mutex<Vec<Vec<String>>>>,
}
impl Observed {
    fn new(memory: &Memory) -> Self {
        Observed {
            memory: memory.clone(),
            is_exclusive: true,
            largest: Arc::new(AtomicUsize::new(usize::MAX)),
            conflicts: Arc::default(),
            commits: Arc::default(),
            checkpoint_reads: Arc::default(),
            parked_reads: Arc::default(),
            program_reads: Arc::default(),
            looked_up: Arc::default(),
        }
    }
    /// Returns the sizes of the commits since the last call.
    fn sizes(&self) -> Vec<usize> {
        std::mem::take(&mut *lock(&self.commits))
    }
    /// Returns the number of views that were committed since the last call of `sizes`.
    fn sizes_so_far(&self) -> usize {
        lock(&self.commits).iter().sum()
    }
    /// Returns the keys that were looked up since the last call.
    fn looked_up(&self) -> Vec<Vec<String>> {
        std::mem::take(&mut *lock(&self.looked_up))
    }
}
#[async_trait]
impl StorageLayer for Observed {
    fn inner(&self) -> &dyn Storage {
        &self.memory
    }
    fn is_exclusive(&self) -> bool {
        self.is_exclusive
    }
    async fn checkpoints(&self, readers: &[String]) -> Result<Vec<u64>, Fault> {
        self.checkpoint_reads.fetch_add(1, SeqCst);
        self.memory.checkpoints(readers).await
    }
    async fn parked_keys(&self, page: &ParkedPage<'_>) -> Result<Vec<ParkedKey>, Fault> {
        self.parked_reads.fetch_add(1, SeqCst);
        self.memory.parked_keys(page).await
    }
    async fn first_parked(&self, reader: &str, keys: &[String]) -> Result<Vec<(String, String)>, Fault> {
        self.parked_reads.fetch_add(1, SeqCst);
        lock(&self.looked_up).push(keys.to_vec());
        self.memory.first_parked(reader, keys).await
    }
    async fn parked(&self, reader: &str, key: &str, after: u64, limit: usize) -> Result<Vec<Parked>, Fault> {
        self.parked_reads.fetch_add(1, SeqCst);
        self.memory.parked(reader, key, after, limit).await
    }
    async fn programs(&self, after: u64) -> Result<Vec<StoredProgram>, Fault> {
        self.program_reads.fetch_add(1, SeqCst);
        self.memory.programs(after).await
    }
    async fn commit(&self, batch: Batch) -> Result<Position, CommitError> {
        if batch.checkpoint_moves.is_empty() {
            return self.memory.commit(batch).await;
        }
        lock(&self.commits).push(batch.views.len());
        if self.conflicts.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1)).is_ok() {
            return Err(CommitError::Conflict { what: "seeded".into(), exists: false, versions: None });
        }
        if batch.views.len() > self.largest.load(SeqCst) {
            return Err(Fault::internal("seeded: the batch is too large").into());
        }
        self.memory.commit(batch).await
    }
}

/// The projection of the badges, whose key is the name of an account, and which cannot apply a payment of 13.
const BADGES: &str = "it::blame::badges";
const READER: &str = "projection/badge";

/// Builds an app whose events are tried so many times.
fn app(storage: &Observed, clock: &Clock, attempts: u32) -> App {
    builder(storage, clock, attempts).build().expect("the app builds")
}
fn builder(storage: &Observed, clock: &Clock, attempts: u32) -> AppBuilder {
    let mut retry_policy = RetryPolicy::default();
    (retry_policy.attempts, retry_policy.circuit_breaker) = (attempts, None);
    let environment: Arc<dyn Environment> = Arc::new(clock.clone());
    bank(storage.clone()).discover_part(BADGES).environment(environment).retry_policy(retry_policy)
}
fn follower(app: &App, reader: &str) -> LogFollower {
    let found = app.log_followers().into_iter().find(|follower| follower.name() == reader);
    found.expect("the projection is discovered")
}
/// Takes a step, and returns the number of events, or `None` if it has failed.
async fn did(follower: &mut LogFollower) -> Option<usize> {
    match follower.step().await {
        Ok(Step::Did(count)) => Some(count),
        Ok(other) => panic!("the follower has more to do: {other:?}"),
        Err(_) => None,
    }
}
async fn open_accounts(app: &App, numbers: std::ops::Range<usize>) {
    for number in numbers {
        opened(app, &format!("id{number:02}")).await;
    }
}

async fn halved() {
    let storage = Observed::new(&Memory::new());
    let app = app(&storage, &Clock::default(), 3);
    open_accounts(&app, 0..40).await;
    let mut follower = follower(&app, READER);
    storage.largest.store(10, SeqCst);
    while !matches!(follower.step().await, Ok(Step::Idle(_))) {
        assert!(lock(&storage.commits).len() < 100, "the follower makes no progress");
    }
    // Of 20 events one is suspected: the next batches are half of the rest, until all have passed. Then each doubles.
    assert_eq!(storage.sizes(), [40, 20, 10, 5, 3, 1, 1, 2, 4, 8, 6]);
}

async fn forgotten() {
    let memory = Memory::new();
    let (storage, clock) = (Observed::new(&memory), Clock::default());
    let (first, second) = (app(&storage, &clock, 3), app(&Observed::new(&memory), &clock, 3));
    open_accounts(&first, 0..40).await;
    let mut slow = follower(&first, READER);
    storage.largest.store(10, SeqCst);
    assert_eq!((did(&mut slow).await, did(&mut slow).await), (None, None));
    assert_eq!(storage.sizes(), [40, 20]);
    assert_eq!(did(&mut follower(&second, READER)).await, Some(40));
    assert_eq!(did(&mut slow).await, Some(0), "the other process was faster");
    storage.sizes();
    storage.largest.store(usize::MAX, SeqCst);
    open_accounts(&first, 40..80).await;
    for count in [10, 20, 10] {
        assert_eq!(did(&mut slow).await, Some(count));
    }
    assert_eq!(storage.sizes(), [10, 20, 10]);
}

async fn named() {
    let storage = Observed::new(&Memory::new());
    let app = app(&storage, &Clock::default(), 3);
    open_accounts(&app, 0..10).await;
    paid_in(&app, "id07", 13).await;
    let mut follower = follower(&app, READER);
    for _ in 0..3 {
        assert_eq!(did(&mut follower).await, None);
    }
    assert_eq!(did(&mut follower).await, Some(11));
    assert_eq!(storage.sizes(), [10], "nothing was committed before, and all others are committed together");
    let parked = app.parked().show(READER, "account/id07", 0, 9).await.expect("the messages can be read");
    assert_eq!(parked.iter().map(|message| message.attempts).collect::<Vec<_>>(), [3]);
}

async fn lost_race() {
    let memory = Memory::new();
    let (storage, clock) = (Observed::new(&memory), Clock::default());
    let (first, second) = (app(&storage, &clock, 3), app(&Observed::new(&memory), &clock, 3));
    opened(&first, "kim").await;
    let mut slow = follower(&first, READER);
    assert_eq!(did(&mut slow).await, Some(1), "the first step handles at once");
    opened(&first, "lee").await;
    assert_eq!(did(&mut follower(&second, READER)).await, Some(1));
    storage.checkpoint_reads.store(0, SeqCst);
    assert_eq!(did(&mut slow).await, Some(0), "the other process was faster");
    assert_eq!(storage.checkpoint_reads.load(SeqCst), 0);
    assert!(matches!(slow.step().await, Ok(Step::Idle(Position(2)))));
    assert_eq!(storage.checkpoint_reads.load(SeqCst), 1);
}

async fn conflicts() {
    let storage = Observed::new(&Memory::new());
    let app = app(&storage, &Clock::default(), 3);
    opened(&app, "kim").await;
    let mut follower = follower(&app, READER);
    storage.conflicts.store(12, SeqCst);
    assert_eq!(did(&mut follower).await, Some(1));
    assert_eq!(storage.sizes(), [1; 13]);
    opened(&app, "lee").await;
    storage.conflicts.store(1_000, SeqCst);
    for _ in 0..4 {
        assert_eq!(did(&mut follower).await, None, "a conflict is no attempt, so nothing is parked");
        assert_eq!(storage.sizes(), [1; 13]);
    }
}

fn account(number: usize) -> String {
    format!("account/id{number:03}")
}
/// Parks a message of so many accounts.
async fn park(memory: &Memory, count: usize) {
    let park = |key: String| {
        let (message, error) = (Uuid::new_v5(&Uuid::NAMESPACE_OID, key.as_bytes()), "seeded".to_owned());
        Park { reader: READER.into(), key, behind: false, message, at: 1, record: None, error, attempts: 1 }
    };
    let batch = Batch { parks: (0..count).map(account).map(park).collect(), ..Batch::default() };
    memory.commit(batch).await.expect("the messages are parked");
}

async fn known_keys() {
    let storage = Observed::new(&Memory::new());
    let app = app(&storage, &Clock::default(), 3);
    park(&storage.memory, 256).await;
    let mut follower = follower(&app, READER);
    opened(&app, "kim").await;
    opened(&app, "id000").await;
    assert_eq!(did(&mut follower).await, Some(2));
    assert_eq!(storage.looked_up(), [[""; 0]; 0]);
    let behind = app.parked().show(READER, &account(0), 0, 9).await.expect("the messages can be read");
    assert_eq!(behind.len(), 2, "the later event of the key is parked");
}

async fn many_keys() {
    let storage = Observed::new(&Memory::new());
    let app = app(&storage, &Clock::default(), 3);
    park(&storage.memory, 257).await;
    let mut follower = follower(&app, READER);
    opened(&app, "kim").await;
    opened(&app, "id000").await;
    assert_eq!(did(&mut follower).await, Some(2));
    assert_eq!(storage.looked_up(), [[account(0), "account/kim".into()]]);
    paid_in(&app, "kim", 1).await;
    paid_in(&app, "id000", 1).await;
    assert_eq!(did(&mut follower).await, Some(2));
    assert_eq!(storage.looked_up(), [["account/kim"]]);
    let behind = app.parked().show(READER, &account(0), 0, 9).await.expect("the messages can be read");
    assert_eq!(behind.len(), 3, "the later events of the key are parked");
}

async fn one_key_more() {
    for (count, looked_up) in [(255, vec![]), (256, vec![vec!["account/lee".to_owned()]])] {
        let storage = Observed::new(&Memory::new());
        let app = app(&storage, &Clock::default(), 1);
        park(&storage.memory, count).await;
        opened(&app, "kim").await;
        paid_in(&app, "kim", 13).await;
        let mut follower = follower(&app, READER);
        assert_eq!((did(&mut follower).await, did(&mut follower).await), (None, Some(2)));
        assert_eq!(storage.looked_up(), [[""; 0]; 0]);
        opened(&app, "lee").await;
        assert_eq!(did(&mut follower).await, Some(1));
        assert_eq!(storage.looked_up(), looked_up, "{count}");
    }
}

async fn none_parked() {
    let storage = Observed::new(&Memory::new());
    let app = app(&storage, &Clock::default(), 3);
    opened(&app, "kim").await;
    let pay = Pay { id: "kim".into(), amount: 5 };
    let paid = app.with(Metadata::NONE).send_committed(pay).await.expect("the payment succeeds");
    let token = app.token(paid.position);
    assert_eq!(did(&mut follower(&app, "projection/card")).await, Some(2));
    storage.parked_reads.store(0, SeqCst);
    let found = app.with(Metadata::default().token(token)).send(FindCard("kim".into())).await;
    assert_eq!(found.expect("the view has caught up").expect("the card").balance, 5);
    assert_eq!(storage.parked_reads.load(SeqCst), 0);
}

async fn budget() {
    let storage = Observed::new(&Memory::new());
    open_accounts(&app(&storage, &Clock::default(), 3), 0..10).await;
    let log = storage.memory.log(Position(0), Position(10), ReadLimit::entries(10)).await.expect("the memory answers");
    let mut byte_budget = ByteBudget::default();
    // The two projections have a share of three events each.
    byte_budget.log = 6 * log[0].size();
    let app = builder(&storage, &Clock::default(), 3).byte_budget(byte_budget).build().expect("the app builds");
    let lags = app.reader_lags().await.expect("the memory answers");
    assert_eq!(lags.iter().filter(|lag| lag.kind == "projection").count(), 2);
    let mut follower = follower(&app, READER);
    while did(&mut follower).await.is_some_and(|_| storage.sizes_so_far() < 10) {}
    assert_eq!(storage.sizes(), [3, 3, 3, 1]);
}

async fn programs() {
    for (is_exclusive, is_declared, expected) in
        [(false, true, [0, 1, 0, 1]), (true, true, [0; 4]), (false, false, [0; 4])]
    {
        let (storage, clock) = (Observed { is_exclusive, ..Observed::new(&Memory::new()) }, Clock::default());
        let app = app(&storage, &clock, 3);
        if is_declared {
            app.migrate().await.expect("the program is declared");
        }
        let mut follower = follower(&app, READER);
        storage.program_reads.store(0, SeqCst);
        let mut reads = Vec::new();
        for uptime in [999, 1_000, 1_999, 2_000] {
            clock.set(uptime);
            follower.step().await.expect("the step succeeds");
            reads.push(storage.program_reads.swap(0, SeqCst));
        }
        assert_eq!(reads, expected, "exclusive: {is_exclusive}, declared: {is_declared}");
    }
}
