//! Virtual time: retries and leases of minutes in a test of seconds.
use crate::{
    bank::{AccountEvent, PaymentMade, bank, opened, paid_in},
    listener::lock,
    trials::{trial, trial_on_one_thread},
};
use async_trait::async_trait;
use cqrs_core::{
    App, AppBuilder, BoxError, Dep, Recorded, RetryPolicy, Timestamp,
    environment::Environment,
    storage::{Memory, Storage},
    subscriber,
    testing::{StorageLayer, TestApp, VirtualTime, settled_within},
};
use libtest_mimic::Trial;
use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial_on_one_thread("virtual time: waits end in the order of their ends, and at their times", order),
        trial("virtual time: `settle` waits for retries of minutes", retries),
        trial("virtual time: `settle` waits until another process takes over a lease of a minute", lease),
        trial("virtual time: without a wait for the lease, the apps are not settled", too_short),
    ]
}
fn time() -> VirtualTime {
    VirtualTime::new(Timestamp::UNIX_EPOCH)
}
const LEASE: Duration = Duration::from_secs(60);
const RETRY: Duration = Duration::from_secs(20);

fn hours(hours: u64) -> Duration {
    Duration::from_secs(hours * 3_600)
}

async fn order() {
    let (time, ended) = (time(), Arc::new(Mutex::new(Vec::new())));
    let waits = [3, 1, 2].map(|hour| {
        let (time, ended) = (time.clone(), ended.clone());
        tokio::spawn(async move {
            time.sleep(hours(hour)).await;
            lock(&ended).push((hour, time.uptime()));
        })
    });
    for wait in waits {
        wait.await.expect("no wait panics");
    }
    assert_eq!(*lock(&ended), [1, 2, 3].map(|hour| (hour, hours(hour))));
    let mut later = time.sleep(hours(5));
    assert!(futures_util::poll!(&mut later).is_pending());
    time.advance(hours(5));
    assert!(futures_util::poll!(&mut later).is_ready(), "the time has passed at once");
    assert_eq!(time.now() - Timestamp::UNIX_EPOCH, chrono::TimeDelta::hours(8));
}

/// The payments that were handled, and the failures that are left.
#[derive(Default)]
struct Handled {
    amounts: Vec<i64>,
    failures: u32,
}
mod retried {
    use super::{BoxError, Dep, Handled, Mutex, PaymentMade, Recorded, lock, subscriber};
    #[subscriber(group = "listener.patient")]
    async fn patient(event: Recorded<PaymentMade>, handled: Dep<Mutex<Handled>>) -> Result<(), BoxError> {
        let mut handled = lock(&handled);
        if handled.failures > 0 {
            handled.failures -= 1;
            return Err("seeded: not yet".into());
        }
        handled.amounts.push(event.event.amount);
        Ok(())
    }
}
mod leased {
    use super::{AccountEvent, BoxError, Dep, Handled, Mutex, Recorded, lock, subscriber};
    #[subscriber(group = "bank.leased", from = "beginning")]
    async fn leased(event: Recorded<AccountEvent>, handled: Dep<Mutex<Handled>>) -> Result<(), BoxError> {
        if let AccountEvent::Paid { amount } = event.event {
            lock(&handled).amounts.push(amount);
        }
        Ok(())
    }
}

/// Memory that several processes use.
#[derive(Clone)]
struct Shared(Memory);
#[async_trait]
impl StorageLayer for Shared {
    fn inner(&self) -> &dyn Storage {
        &self.0
    }
    fn is_exclusive(&self) -> bool {
        false
    }
}
fn app(storage: &Shared, time: &VirtualTime, handled: &Arc<Mutex<Handled>>) -> AppBuilder {
    let app = bank(storage.clone()).discover_part("it::virtual_time::leased").provide(handled.clone());
    app.environment(Arc::new(time.clone())).lease(LEASE)
}

async fn retries() {
    let (time, began) = (time(), Instant::now());
    let handled = Arc::new(Mutex::new(Handled { failures: 3, ..Handled::default() }));
    let mut policy = RetryPolicy::default();
    (policy.first, policy.longest) = (RETRY, 100 * RETRY);
    let bank = bank(Memory::new()).environment(Arc::new(time.clone()));
    let listener = App::builder("listener").discover_part("it::virtual_time::retried").provide(handled.clone());
    let listener = listener.environment(Arc::new(time.clone())).retry_policy(policy);
    let [bank, listener] = TestApp::start_all([bank, listener]).await.expect("the apps start");
    opened(&bank, "kim").await;
    paid_in(&bank, "kim", 7).await;
    settled_within(&[&bank, &listener], hours(1)).await.expect("the message is handled at last");
    assert_eq!(lock(&handled).amounts, [7]);
    assert!(time.uptime() >= RETRY * 7 / 2, "half of each wait is not random: {:?}", time.uptime());
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
    assert!(bank.stop().await && listener.stop().await);
}

/// Starts an app that takes the lease and ends without giving it up, and then another one.
async fn taken_over(time: &VirtualTime, handled: &Arc<Mutex<Handled>>) -> TestApp {
    let storage = Shared(Memory::with(Arc::new(time.clone())));
    let first = TestApp::start(app(&storage, time, handled)).await.expect("the app starts");
    opened(&first, "kim").await;
    paid_in(&first, "kim", 1).await;
    settled_within(&[&first], hours(1)).await.expect("the first process handles the event");
    assert_eq!(lock(handled).amounts, [1]);
    // Its tasks end where they are, as if the process had died.
    drop(first);
    let second = TestApp::start(app(&storage, time, handled)).await.expect("the app starts");
    paid_in(&second, "kim", 2).await;
    second
}
async fn lease() {
    let (time, handled, began) = (time(), Arc::new(Mutex::new(Handled::default())), Instant::now());
    let second = taken_over(&time, &handled).await;
    settled_within(&[&second], hours(1)).await.expect("the second process takes over");
    assert_eq!(lock(&handled).amounts, [1, 2]);
    assert!(time.uptime() >= LEASE / 2, "{:?}", time.uptime());
    assert!(began.elapsed() < Duration::from_secs(50), "{:?}", began.elapsed());
    assert!(second.stop().await);
}
async fn too_short() {
    let (time, handled) = (time(), Arc::new(Mutex::new(Handled::default())));
    let second = taken_over(&time, &handled).await;
    let error = settled_within(&[&second], LEASE / 4).await.expect_err("the lease is held");
    assert!(error.to_string().contains("reader `subscriber/bank.leased` is behind"), "{error}");
    assert_eq!(lock(&handled).amounts, [1]);
}
