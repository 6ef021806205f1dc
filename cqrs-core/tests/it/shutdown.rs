//! Shutdown finishes the messages in progress, leaves the others for the next start, and is limited in time.
use crate::{
    bank::{AccountEvent, PaymentMade, bank, opened, paid_in, until},
    listener::{LISTENER, Script},
    trials::trial,
};
use cqrs_core::{
    AppBuilder, BoxError, Dep, Recorded,
    app::DRAIN,
    storage::{Memory, Storage},
    subscriber,
};
use libtest_mimic::Trial;
use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("shutdown: a subscriber on a topic finishes its message", on_topic),
        trial("shutdown: a subscriber on its own log finishes its message", on_log),
        trial("shutdown: a stuck message does not hold up the shutdown", stuck),
        trial("shutdown: a message that takes too long is cancelled and delivered again", too_long),
        trial("shutdown: serving ends before the background work", run),
        trial("shutdown: a dropped app leaves no task behind", dropped),
    ]
}

#[derive(Default)]
struct Slow {
    takes: Duration,
    started: AtomicU32,
    done: AtomicU32,
}
impl Slow {
    async fn work(&self) {
        self.started.fetch_add(1, Ordering::SeqCst);
        tokio::time::sleep(self.takes).await;
        self.done.fetch_add(1, Ordering::SeqCst);
    }
    /// Returns the numbers of started and finished calls.
    fn counts(&self) -> (u32, u32) {
        (self.started.load(Ordering::SeqCst), self.done.load(Ordering::SeqCst))
    }
}
mod topic {
    use super::{BoxError, Dep, PaymentMade, Recorded, Slow, subscriber};
    #[subscriber(group = "slow.topic")]
    async fn slowly(_: Recorded<PaymentMade>, slow: Dep<Slow>) -> Result<(), BoxError> {
        slow.work().await;
        Ok(())
    }
}
mod log {
    use super::{AccountEvent, BoxError, Dep, Recorded, Slow, subscriber};
    #[subscriber(group = "slow.log", from = "beginning")]
    async fn slowly(event: Recorded<AccountEvent>, slow: Dep<Slow>) -> Result<(), BoxError> {
        if let AccountEvent::Paid { .. } = event.event {
            slow.work().await;
        }
        Ok(())
    }
}
fn slow(takes: Duration) -> Arc<Slow> {
    Arc::new(Slow { takes, ..Slow::default() })
}

async fn started(app: AppBuilder, slow: &Slow) -> cqrs_core::app::Background {
    let app = app.build().expect("the app builds");
    let background = app.start().await.expect("the app starts");
    opened(&app, "kim").await;
    for _ in 0..3 {
        paid_in(&app, "kim", 1).await;
    }
    until("the first message is in progress", async || slow.counts().0 == 1).await;
    background
}
async fn on_topic() {
    finishes("it::shutdown::topic").await;
}
async fn on_log() {
    finishes("it::shutdown::log").await;
}
/// Stops the app while the first of three messages is being handled.
async fn finishes(module: &'static str) {
    let (memory, slow) = (Memory::new(), slow(Duration::from_millis(300)));
    let app = || bank(memory.clone()).discover_part(module).provide(slow.clone());
    assert!(started(app(), &slow).await.stop(DRAIN).await);
    assert_eq!(slow.counts(), (1, 1), "the message in progress is finished and no other is started");
    let app = app().build().expect("the app builds");
    let background = app.start().await.expect("the app starts");
    until("the other messages are handled", async || slow.counts().1 == 3).await;
    assert!(background.stop(DRAIN).await);
    assert_eq!(slow.counts(), (3, 3), "no message is handled twice");
}

async fn stuck() {
    let script = Arc::new(Script::default());
    script.stuck(["kim"]);
    let app = bank(Memory::new()).discover_part(LISTENER).provide(script.clone()).build().expect("the app builds");
    let background = app.start().await.expect("the app starts");
    opened(&app, "kim").await;
    paid_in(&app, "kim", 1).await;
    until("the message has failed several times", async || script.calls() > 4).await;
    let started = Instant::now();
    assert!(background.stop(DRAIN).await);
    assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
}

async fn too_long() {
    for module in ["it::shutdown::topic", "it::shutdown::log"] {
        let (memory, slow) = (Memory::new(), slow(Duration::from_secs(3600)));
        let app = bank(memory.clone()).discover_part(module).provide(slow.clone());
        let background = started(app, &slow).await;
        let started = Instant::now();
        assert!(!background.stop(Duration::from_millis(100)).await);
        assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
        assert_eq!(slow.counts(), (1, 0));
        let quick = Arc::new(Slow::default());
        let app = bank(memory).discover_part(module).provide(quick.clone()).build().expect("the app builds");
        let background = app.start().await.expect("the app starts");
        until("all messages are delivered again", async || quick.counts() == (3, 3)).await;
        assert!(background.stop(DRAIN).await);
    }
}

async fn run() {
    let memory = Memory::new();
    let app = bank(memory.clone()).build().expect("the app builds");
    let serving = app.clone();
    let serve = |stop: futures_util::future::BoxFuture<'static, ()>| async move {
        stop.await;
        // A request that is in progress when the app is stopped.
        opened(&serving, "kim").await;
        Ok::<(), BoxError>(())
    };
    app.run(serve, tokio::time::sleep(Duration::from_millis(50))).await.expect("the app ends without an error");
    assert_eq!(memory.high_water_mark().await.expect("the storage responds").0, 1);
    let failing = |_| async { Err::<(), BoxError>("seeded: the port is taken".into()) };
    let error = app.run(failing, std::future::pending()).await.expect_err("serving fails");
    assert_eq!(error.to_string(), "seeded: the port is taken");
}

async fn dropped() {
    let slow = slow(Duration::from_millis(50));
    let app = bank(Memory::new()).discover_part("it::shutdown::topic").provide(slow.clone());
    drop(started(app, &slow).await);
    tokio::time::sleep(Duration::from_millis(300)).await;
    let after = slow.counts();
    assert!(after.0 <= 2, "{after:?}");
    until("no task holds the dependency", async || Arc::strong_count(&slow) == 1).await;
}
