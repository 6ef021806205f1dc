//! Shutdown drains: what is being handled is finished, what waits is left for the next start, and it ends in time.
use crate::{
    bank::{AccountEvent, Told, bank, opened, paid_in, until},
    listener::{LISTENER, Script},
    trials::trial,
};
use cqrs_core::{
    App, BoxError, Dep, Recorded,
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
        trial("shutdown: a subscriber on the own log finishes its message", on_log),
        trial("shutdown: what is stuck does not hold it up", stuck),
        trial("shutdown: what takes too long is ended, and comes again", too_long),
        trial("shutdown: serving ends first, then the rest", run),
        trial("shutdown: an app that is not driven any more leaves nothing behind", dropped),
    ]
}

#[derive(Default)]
struct Slow {
    takes: Duration,
    begun: AtomicU32,
    done: AtomicU32,
}
impl Slow {
    async fn work(&self) {
        self.begun.fetch_add(1, Ordering::SeqCst);
        tokio::time::sleep(self.takes).await;
        self.done.fetch_add(1, Ordering::SeqCst);
    }
    fn done(&self) -> (u32, u32) {
        (self.begun.load(Ordering::SeqCst), self.done.load(Ordering::SeqCst))
    }
}
mod topic {
    use super::{BoxError, Dep, Recorded, Slow, Told, subscriber};
    #[subscriber(group = "slow.topic")]
    async fn slowly(_: Recorded<Told>, slow: Dep<Slow>) -> Result<(), BoxError> {
        slow.work().await;
        Ok(())
    }
}
mod log {
    use super::{AccountEvent, BoxError, Dep, Recorded, Slow, subscriber};
    #[subscriber(group = "slow.log")]
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

async fn begun(app: App, slow: &Slow) -> cqrs_core::app::Background {
    let app = app.build().expect("it fits together");
    let background = app.start().await.expect("it starts");
    opened(&app, "kim").await;
    for _ in 0..3 {
        paid_in(&app, "kim", 1).await;
    }
    until("it has begun", async || slow.done().0 == 1).await;
    background
}
async fn on_topic() {
    finishes("it::shutdown::topic").await;
}
async fn on_log() {
    finishes("it::shutdown::log").await;
}
/// One of three messages is being handled when it is told to stop.
async fn finishes(module: &'static str) {
    let (memory, slow) = (Memory::new(), slow(Duration::from_millis(300)));
    let app = || bank(memory.clone()).discover(module).provide(slow.clone());
    assert!(begun(app(), &slow).await.stop(DRAIN).await);
    assert_eq!(slow.done(), (1, 1), "what was begun is done, and no other begun");
    let app = app().build().expect("it fits together");
    let background = app.start().await.expect("it starts");
    until("the others are done", async || slow.done().1 == 3).await;
    assert!(background.stop(DRAIN).await);
    assert_eq!(slow.done(), (3, 3), "none of them twice");
}

async fn stuck() {
    let script = Arc::new(Script::default());
    script.stuck(["kim"]);
    let app = bank(Memory::new()).discover(LISTENER).provide(script.clone()).build().expect("it fits together");
    let background = app.start().await.expect("it starts");
    opened(&app, "kim").await;
    paid_in(&app, "kim", 1).await;
    until("it has failed some times", async || script.calls() > 4).await;
    let started = Instant::now();
    assert!(background.stop(DRAIN).await);
    assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
}

async fn too_long() {
    for module in ["it::shutdown::topic", "it::shutdown::log"] {
        let (memory, slow) = (Memory::new(), slow(Duration::from_secs(3600)));
        let app = bank(memory.clone()).discover(module).provide(slow.clone());
        let background = begun(app, &slow).await;
        let started = Instant::now();
        assert!(!background.stop(Duration::from_millis(100)).await);
        assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
        assert_eq!(slow.done(), (1, 0));
        let quick = Arc::new(Slow::default());
        let app = bank(memory).discover(module).provide(quick.clone()).build().expect("it fits together");
        let background = app.start().await.expect("it starts");
        until("all come again", async || quick.done() == (3, 3)).await;
        assert!(background.stop(DRAIN).await);
    }
}

async fn run() {
    let memory = Memory::new();
    let app = bank(memory.clone()).build().expect("it fits together");
    let serving = app.clone();
    let serve = |stop: futures_util::future::BoxFuture<'static, ()>| async move {
        stop.await;
        // A request that is under way when it is told to stop.
        opened(&serving, "kim").await;
        Ok::<(), BoxError>(())
    };
    app.run(serve, tokio::time::sleep(Duration::from_millis(50))).await.expect("it ends well");
    assert_eq!(memory.horizon().await.expect("it answers").0, 1);
    let failing = |_| async { Err::<(), BoxError>("planted: the port is taken".into()) };
    let error = app.run(failing, std::future::pending()).await.expect_err("serving has failed");
    assert_eq!(error.to_string(), "planted: the port is taken");
}

async fn dropped() {
    let slow = slow(Duration::from_millis(50));
    let app = bank(Memory::new()).discover("it::shutdown::topic").provide(slow.clone());
    drop(begun(app, &slow).await);
    tokio::time::sleep(Duration::from_millis(300)).await;
    let after = slow.done();
    assert!(after.0 <= 2, "{after:?}");
    until("nothing holds it any more", async || Arc::strong_count(&slow) == 1).await;
}
