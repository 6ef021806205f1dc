//! Metrics of an app: counters and histograms are recorded as things happen, gauges when `measure` is called.
use crate::{
    bank::{Account, BANK, Pay, bank, opened, paid_in, until},
    flaky::Flaky,
    listener::{LISTENER, Script},
    trials::trial,
};
use async_trait::async_trait;
use cqrs_core::{
    App, AppBuilder, Metadata, Position, RetryPolicy, StateStored,
    storage::{Batch, CommitError, Memory, Storage},
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
        trial("metrics: every commit is timed, including a fast one", commits),
        trial("metrics: a conflict and a repeated command are counted", conflicts),
        trial("metrics: sent, failed and handled messages are counted", messages),
        trial("metrics: the number of parked messages is reported, including zero", parked),
        trial("metrics: the lag of a reader is reported, including zero", lag),
        trial("metrics: a database that is down is reported by the health check", away),
        trial("metrics: the permits of a limit and the waits for them are reported", limited),
    ]
}

/// The recorder of the process. Tests tell their metrics apart by the name of their service.
static RECORDER: LazyLock<PrometheusHandle> = LazyLock::new(|| {
    let builder = PrometheusBuilder::new().set_buckets(&cqrs_core::telemetry::metrics::DURATION_BUCKETS);
    builder.expect("the list of buckets is not empty").install_recorder().expect("no other recorder is installed")
});

/// Returns the value of the one line with this name and all of these labels.
fn value(name: &str, service: &str, labels: &[&str]) -> Option<f64> {
    let text = RECORDER.render();
    let service = format!("service=\"{service}\"");
    let matches = |line: &&str| {
        line.starts_with(&format!("{name}{{"))
            && line.contains(&service)
            && labels.iter().all(|label| line.contains(label))
    };
    let found: Vec<_> = text.lines().filter(matches).collect();
    assert!(found.len() < 2, "{found:#?}");
    found.first()?.rsplit(' ').next()?.parse().ok()
}
fn metered(service: &str) -> AppBuilder {
    LazyLock::force(&RECORDER);
    App::builder(service).discover_part(BANK).aggregate(StateStored::<Account>::new()).storage(Memory::new())
}

async fn commits() {
    let app = metered("commits").build().expect("the app builds");
    opened(&app, "kim").await;
    let labels = ["command=\"Open\"", "outcome=\"committed\""];
    assert_eq!(value("cqrs_commit_duration_seconds_count", "commits", &labels), Some(1.0));
    let all = [&labels[..], &["le=\"+Inf\""]].concat();
    assert_eq!(
        value("cqrs_commit_duration_seconds_bucket", "commits", &all),
        Some(1.0),
        "a fast commit is in a bucket"
    );
    let again = app.send(crate::bank::Open { id: "kim".into(), name: "name of kim".into() }).await;
    assert!(again.is_err());
    let labels = ["command=\"Open\"", "outcome=\"exists\""];
    assert_eq!(value("cqrs_commit_duration_seconds_count", "commits", &labels), Some(1.0));
}

/// Refuses this many commits with a conflict, as if another writer had been faster.
struct Busy(Memory, AtomicU32);
#[async_trait]
impl StorageLayer for Busy {
    fn inner(&self) -> &dyn Storage {
        &self.0
    }
    async fn commit(&self, batch: Batch) -> Result<Position, CommitError> {
        match self.1.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1)) {
            Ok(_) => Err(CommitError::Conflict { what: "seeded".into(), exists: false, versions: None }),
            Err(_) => self.0.commit(batch).await,
        }
    }
}
async fn conflicts() {
    let app = metered("conflicts").storage(Busy(Memory::new(), AtomicU32::new(3))).build().expect("the app builds");
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
    let app = metered("messages").discover_part(LISTENER).provide(script.clone());
    let app = TestApp::start(app).await.expect("the app starts");
    opened(&app, "kim").await;
    paid_in(&app, "kim", 1).await;
    let group = "group=\"bank.listener\"";
    let tried = |outcome: &str| value("cqrs_messages_total", "messages", &[group, &format!("outcome=\"{outcome}\"")]);
    until("the message has failed twice", async || tried("failed").is_some_and(|count| count >= 2.0)).await;
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
    let mut retry_policy = RetryPolicy::default();
    retry_policy.attempts = 1;
    let app = metered("parked").retry_policy(retry_policy);
    let app = TestApp::start(app.discover_part(LISTENER).provide(script.clone())).await.expect("the app starts");
    opened(&app, "kim").await;
    let parked = async || {
        app.measure().await.expect("the gauges can be measured");
        value("cqrs_parked_messages", "parked", &["reader=\"bank.listener\""])
    };
    assert_eq!(parked().await, Some(0.0), "the gauge is 0 and not absent when nothing is parked");
    paid_in(&app, "kim", 1).await;
    paid_in(&app, "kim", 2).await;
    until("both messages are parked", async || parked().await == Some(2.0)).await;
    script.stuck([]);
    let by = Metadata::default().caller("operator");
    app.parked().redeliver("bank.listener", "kim", &by).await.expect("the messages are redelivered");
    assert_eq!(parked().await, Some(0.0), "the gauge goes down after redelivery");
}

async fn lag() {
    let app = metered("lag").build().expect("the app builds");
    opened(&app, "kim").await;
    paid_in(&app, "kim", 1).await;
    app.measure().await.expect("the gauges can be measured");
    let card = ["kind=\"projection\"", "reader=\"projection/card\""];
    assert_eq!(value("cqrs_lag_positions", "lag", &card), Some(2.0));
    assert_eq!(value("cqrs_lag_events", "lag", &card), Some(2.0));
    assert!(value("cqrs_lag_seconds", "lag", &card).is_some_and(|seconds| seconds > 0.0), "the first event has waited");
    for mut follower in app.log_followers() {
        follower.step().await.expect("the step succeeds");
    }
    app.measure().await.expect("the gauges can be measured");
    assert_eq!(
        value("cqrs_lag_positions", "lag", &card),
        Some(0.0),
        "the gauge is 0 and not absent for a reader without lag"
    );
    assert_eq!(value("cqrs_lag_events", "lag", &card), Some(0.0));
    assert_eq!(value("cqrs_lag_seconds", "lag", &card), Some(0.0));
}

async fn away() {
    let flaky = Flaky::default();
    let app = bank(flaky.clone()).build().expect("the app builds");
    assert!(
        app.health().await.is_ready(),
        "a broker that is not joined must not make the app unready: {:?}",
        app.health().await
    );
    flaky.fail_next(1);
    let health = app.health().await;
    assert!(!health.is_ready());
    let components: Vec<_> =
        health.components.iter().map(|found| (found.name, found.required, found.error.as_deref())).collect();
    assert_eq!(components[0], ("database", true, Some("seeded: the database is down")));
    assert_eq!((components[1].0, components[1].1), ("broker", false));
    assert!(app.health().await.is_ready(), "the database is up again");
}

/// A query that uses a limit, and shows the permits that are held meanwhile.
mod limited_query {
    use cqrs_core::{HandlerResult, Infallible, Query, handler};

    pub(super) const MODULE: &str = module_path!();

    #[derive(Clone, Query)]
    pub(super) struct CountHeld;
    #[handler(limit = "metered", 2)]
    async fn count_held(_: CountHeld) -> HandlerResult<Option<f64>, Infallible> {
        Ok(super::value("cqrs_limit_held", "limited", &["limit=\"metered\""]))
    }
}
async fn limited() {
    let app = metered("limited").discover_part(limited_query::MODULE).build().expect("the app builds");
    assert_eq!(app.send(limited_query::CountHeld).await.expect("there is a permit"), Some(1.0));
    let labels = ["limit=\"metered\""];
    assert_eq!(value("cqrs_limit_held", "limited", &labels), Some(0.0), "the permit was not given back");
    assert_eq!(value("cqrs_limit_waiting", "limited", &labels), Some(0.0));
    assert_eq!(value("cqrs_limit_wait_seconds_count", "limited", &labels), Some(1.0));
}
