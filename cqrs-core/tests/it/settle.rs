//! Several services in one test: they exchange events, and a time-out says which reader is behind.
use crate::{
    bank::{bank, opened, paid_in, until},
    listener::{LISTENER, Script, lock},
    trials::trial,
};
use cqrs_core::{
    App, AppBuilder,
    storage::Memory,
    testing::{NotSettled, TestApp, settled_within},
};
use libtest_mimic::Trial;
use std::{sync::Arc, time::Duration};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("settle: apps that were started together exchange events and settle together", together),
        trial("settle: a time-out names the app, the reader, its checkpoint and the parked messages", behind),
        trial("settle: apps that cannot be built are not started", broken),
    ]
}
fn listener(script: &Arc<Script>) -> AppBuilder {
    App::builder("listener").discover_part(LISTENER).provide(script.clone())
}

async fn together() {
    let script = Arc::new(Script::default());
    let apps = [bank(Memory::new()), listener(&script)];
    let [bank, listener] = TestApp::start_all(apps).await.expect("the apps start");
    opened(&bank, "kim").await;
    for amount in 1..=20 {
        paid_in(&bank, "kim", amount).await;
    }
    listener.settle().await;
    assert_eq!(script.of("kim"), (1..=20).collect::<Vec<_>>());
    assert!(bank.stop().await && listener.stop().await);
}

mod hangs {
    use super::{Arc, lock};
    use crate::bank::PaymentMade;
    use cqrs_core::{BoxError, Dep, Recorded, permanent, subscriber};

    pub(super) type Gate = Arc<tokio::sync::Semaphore>;
    #[subscriber(group = "bank.hangs")]
    async fn hangs(
        event: Recorded<PaymentMade>,
        gate: Dep<Gate>,
        done: Dep<std::sync::Mutex<u32>>,
    ) -> Result<(), BoxError> {
        if event.event.id == "lee" {
            return Err(permanent("seeded: the account is closed"));
        }
        gate.acquire().await?.forget();
        *lock(&done) += 1;
        Ok(())
    }
}
async fn behind() {
    let (gate, done) = (hangs::Gate::new(tokio::sync::Semaphore::new(0)), Arc::new(std::sync::Mutex::new(0u32)));
    let hanging = App::builder("hanging").discover_part("it::settle::hangs");
    let hanging = hanging.provide(Arc::new(gate.clone())).provide(done.clone());
    let [bank, hanging] = TestApp::start_all([bank(Memory::new()), hanging]).await.expect("the apps start");
    for id in ["kim", "lee"] {
        opened(&bank, id).await;
        paid_in(&bank, id, 7).await;
    }
    let parked = async || hanging.parked().list(&Default::default()).await.expect("the parked messages can be read");
    until("lee's payment is parked", async || !parked().await.is_empty()).await;
    let error = settled_within(&[&bank, &hanging], Duration::from_millis(500)).await.expect_err("kim's payment hangs");
    let error = error.downcast::<NotSettled>().expect("the services have work");
    let shard = cqrs_core::event::shard_of("kim");
    assert_eq!(
        format!("{error:?}"),
        format!(
            "the services still have work after 500ms:\n\
             - bank: its log ends at position 4\n  \
               - reader `relay/bank.hangs@bank.events.v1/{shard}` is behind by 3; its checkpoint is 0\n\
             - hanging: its log ends at position 0\n  \
               - reader `bank.hangs` has parked key `lee` (messages: 1): {}\n\
             The log output of the background jobs (`tracing`) has the errors of failed attempts.",
            parked().await[0].error
        )
    );
    gate.add_permits(1);
    bank.settle().await;
    assert_eq!(*lock(&done), 1);
}

async fn broken() {
    let apps = [bank(Memory::new()), App::builder("empty").discover_part("it::settle::empty")];
    let error = TestApp::start_all(apps).await.expect_err("the second app has no functions");
    assert!(error.to_string().starts_with("empty cannot be built:"), "{error}");
}
