//! The content of messages is in no log line and in no stored error, even if an error of a codec quotes it.
use crate::{
    bank::{PaymentMade, bank},
    listener::{LISTENER, Script},
    logs::{Lines, logged_trial},
};
use cqrs_core::{
    IntegrationEvent, Metadata, Timestamp,
    event::{NewEntry, OutgoingMessage, shard_of},
    storage::{Batch, Memory, Storage},
    testing::TestApp,
};
use libtest_mimic::Trial;
use std::sync::Arc;
use uuid::Uuid;

pub(crate) fn trials() -> Vec<Trial> {
    vec![logged_trial("canary: no log line and no parked error quotes the content of a message", quoted)]
}

/// A text that occurs nowhere but in the message.
const CANARY: &str = "canary-51c7";

async fn quoted(lines: Lines) {
    let memory = Memory::new();
    let (id, amount) = ("kim".to_owned(), format!("{{\"Paid\":{{\"amount\":\"{CANARY}\"}}}}"));
    let event = NewEntry {
        stream: "account/kim".into(),
        version: 1,
        id: Uuid::from_u128(1),
        name: "account.paid",
        schema: 1,
        payload: amount.into_bytes(),
        metadata: Metadata::NONE,
        occurred_at: Timestamp::UNIX_EPOCH,
        outgoing: Some(OutgoingMessage {
            topic: PaymentMade::TOPIC.into(),
            shard: shard_of(&id),
            key: id,
            name: PaymentMade::NAME.into(),
            content_type: PaymentMade::CONTENT_TYPE.into(),
            body: format!("{{\"id\":\"kim\",\"amount\":\"{CANARY}\"}}").into_bytes(),
        }),
    };
    memory.commit(Batch { events: vec![event], ..Batch::default() }).await.expect("the stream is new");
    let app = bank(memory).discover_part(LISTENER).provide(Arc::new(Script::default()));
    let app = TestApp::start(app).await.expect("the app starts");
    app.settle().await;
    for (reader, key) in [("bank.listener", "kim"), ("projection/card", "account/kim")] {
        let parked = app.parked().show(reader, key, 0, 9).await.expect("the parked messages can be read");
        let [message] = &parked[..] else { panic!("{reader}: {parked:?}") };
        assert!(message.error.contains("invalid type, expected i64"), "{}", message.error);
        assert!(!message.error.contains(CANARY), "{}", message.error);
    }
    assert!(app.stop().await);
    let logged = lines.text();
    assert!(logged.contains("message parked, with the later messages of its key"), "{logged}");
    assert!(!logged.contains(CANARY), "{logged}");
}
