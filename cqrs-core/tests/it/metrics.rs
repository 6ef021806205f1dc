//! What is measured is what happened: counted where it happens, and gauges when somebody asks.
use crate::{
    bank::{Account, BANK, Pay, bank, opened, paid_in, until},
    flaky::Flaky,
    listener::{LISTENER, Script},
    trials::trial,
};
use async_trait::async_trait;
use cqrs_core::{
    App, Metadata, Position, Rows,
    batch::{Batch, Rejected},
    parking::Retries,
    storage::{Memory, Storage},
    testing::{StorageLayer, TestApp},
};
use libtest_mimic::Trial;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use std::sync::{
    Arc, LazyLock,
    atomic::{AtomicU32, Ordering::SeqCst},
};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("metrics: a commit is timed, also one that is fast", commits),
        trial("metrics: a conflict and a repeated command are counted", conflicts),
        trial("metrics: a message that fails, and what was sent and handled, is counted", messages),
        trial("metrics: what is parked is told, and that nothing is", parked),
        trial("metrics: a reader's lag is told, and that it has none", lag),
        trial("metrics: a database that is away is told", away),
    ]
}

/// One recorder for the process; what a test asks for has the name of its own service in it.
static RECORDER: LazyLock<PrometheusHandle> = LazyLock::new(|| {
    let builder = PrometheusBuilder::new().set_buckets(&cqrs_core::metrics::DURATION_BUCKETS);
    builder.expect("there are buckets").install_recorder().expect("it is the only one")
});

/// The value of the one line with this name and all of these labels.
fn value(name: &str, service: &str, labels: &[&str]) -> Option<f64> {
    let text = RECORDER.render();
    let service = format!("service=\"{service}\"");
    let of = |line: &&str| {
        line.starts_with(&format!("{name}{{")) && line.contains(&service) && labels.iter().all(|it| line.contains(it))
    };
    let found: Vec<_> = text.lines().filter(of).collect();
    assert!(found.len() < 2, "{found:#?}");
    found.first()?.rsplit(' ').next()?.parse().ok()
}
fn metered(service: &str) -> App {
    LazyLock::force(&RECORDER);
    App::new(service).discover(BANK).aggregate(Rows::<Account>::new()).storage(Memory::new())
}

async fn commits() {
    let app = metered("commits").build().expect("it fits together");
    opened(&app, "kim").await;
    let labels = ["command=\"Open\"", "outcome=\"committed\""];
    assert_eq!(value("cqrs_commit_duration_seconds_count", "commits", &labels), Some(1.0));
    let all = [&labels[..], &["le=\"+Inf\""]].concat();
    assert_eq!(
        value("cqrs_commit_duration_seconds_bucket", "commits", &all),
        Some(1.0),
        "none is too fast to be counted"
    );
    let again = app.send(crate::bank::Open { id: "kim".into(), name: "name of kim".into() }).await;
    assert!(again.is_err());
    let labels = ["command=\"Open\"", "outcome=\"exists\""];
    assert_eq!(value("cqrs_commit_duration_seconds_count", "commits", &labels), Some(1.0));
}

/// Refuses this many commits, as if somebody else had been faster.
struct Busy(Memory, AtomicU32);
#[async_trait]
impl StorageLayer for Busy {
    fn inner(&self) -> &dyn Storage {
        &self.0
    }
    async fn commit(&self, batch: Batch) -> Result<Position, Rejected> {
        match self.1.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1)) {
            Ok(_) => Err(Rejected::Conflict { what: "planted".into(), exists: false }),
            Err(_) => self.0.commit(batch).await,
        }
    }
}
async fn conflicts() {
    let app = metered("conflicts").storage(Busy(Memory::new(), AtomicU32::new(3))).build().expect("it fits together");
    opened(&app, "kim").await;
    let of = |outcome| ["command=\"Open\"", outcome];
    let commits = |outcome| value("cqrs_commit_duration_seconds_count", "conflicts", &of(outcome));
    assert_eq!(commits("outcome=\"conflict\""), Some(3.0));
    assert_eq!(commits("outcome=\"committed\""), Some(1.0));
    assert_eq!(value("cqrs_command_retries_total", "conflicts", &["command=\"Open\""]), Some(3.0));
    let pay = async || app.with(Metadata::default().key("k")).send(Pay { id: "kim".into(), amount: 1 }).await;
    let repeats = || value("cqrs_command_repeats_total", "conflicts", &["command=\"Pay\""]);
    assert_eq!(pay().await.ok(), Some(1));
    assert_eq!(repeats(), None);
    assert_eq!(pay().await.ok(), Some(1));
    assert_eq!(repeats(), Some(1.0));
}

async fn messages() {
    let script = Arc::new(Script::default());
    script.stuck(["kim"]);
    let app = metered("messages").discover(LISTENER).provide(script.clone());
    let app = TestApp::start(app).await.expect("it starts");
    opened(&app, "kim").await;
    paid_in(&app, "kim", 1).await;
    let group = "group=\"bank.listener\"";
    let tried = |outcome: &str| value("cqrs_messages_total", "messages", &[group, &format!("outcome=\"{outcome}\"")]);
    until("it has failed twice", async || tried("failed").is_some_and(|it| it >= 2.0)).await;
    assert_eq!(tried("handled"), None);
    script.stuck([]);
    app.settle().await;
    assert_eq!(tried("handled"), Some(1.0));
    assert_eq!(value("cqrs_message_age_seconds_count", "messages", &[group]), Some(1.0));
    assert_eq!(value("cqrs_relay_published_total", "messages", &[]), Some(1.0));
    assert_eq!(value("cqrs_events_projected_total", "messages", &["projection=\"card\""]), Some(2.0));
}

async fn parked() {
    let script = Arc::new(Script::default());
    script.stuck(["kim"]);
    let app = metered("parked").retries(Retries { attempts: 1, ..Retries::default() });
    let app = TestApp::start(app.discover(LISTENER).provide(script.clone())).await.expect("it starts");
    opened(&app, "kim").await;
    let waiting = async || {
        app.measure().await.expect("it can be measured");
        value("cqrs_parked_messages", "parked", &["reader=\"bank.listener\""])
    };
    assert_eq!(waiting().await, Some(0.0), "none is 0, not absent");
    paid_in(&app, "kim", 1).await;
    paid_in(&app, "kim", 2).await;
    until("both are parked", async || waiting().await == Some(2.0)).await;
    script.stuck([]);
    let by = Metadata::default().caller("operator");
    app.parked().replay("bank.listener", "kim", &by).await.expect("they are replayed");
    assert_eq!(waiting().await, Some(0.0), "a gauge comes down again");
}

async fn lag() {
    let app = metered("lag").build().expect("it fits together");
    opened(&app, "kim").await;
    paid_in(&app, "kim", 1).await;
    app.measure().await.expect("it can be measured");
    let card = ["kind=\"projection\"", "reader=\"projection/card\""];
    assert_eq!(value("cqrs_lag_positions", "lag", &card), Some(2.0));
    assert!(value("cqrs_lag_seconds", "lag", &card).is_some_and(|it| it > 0.0), "the first has waited");
    for mut follower in app.log_followers() {
        follower.step().await.expect("it steps");
    }
    app.measure().await.expect("it can be measured");
    assert_eq!(value("cqrs_lag_positions", "lag", &card), Some(0.0), "at the end is 0, not absent");
    assert_eq!(value("cqrs_lag_seconds", "lag", &card), Some(0.0));
}

async fn away() {
    let flaky = Flaky::default();
    let app = bank(flaky.clone()).build().expect("it fits together");
    assert!(app.health().await.is_ready(), "a broker that is not joined stops no request: {:?}", app.health().await);
    flaky.is_away(1);
    let health = app.health().await;
    assert!(!health.is_ready());
    let troubles: Vec<_> = health.parts.iter().map(|it| (it.what, it.needed, it.trouble.as_deref())).collect();
    assert_eq!(troubles[0], ("database", true, Some("planted: the database is away")));
    assert_eq!((troubles[1].0, troubles[1].1), ("broker", false));
    assert!(app.health().await.is_ready(), "it is back");
}
