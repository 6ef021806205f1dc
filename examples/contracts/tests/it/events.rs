//! Tests that each event is published and received under the name in `fields.txt`.
use contracts::v1::message::{
    CounselCreated, CounselMessageCreated, CounselReplied, CounselReplyFailed, TOPICS, TokensSpent, UserRegistered,
    UserUpdated,
};
use cqrs_core::{IntegrationEvent, Source, Subscribable};
use std::fmt::Debug;

fn round_trips<E: IntegrationEvent + Subscribable + PartialEq + Debug>(event: E, name: &str, topic: &str) {
    assert_eq!((E::NAME, E::TOPIC), (name, topic));
    assert_eq!(E::SOURCE, Source::Topic { topic: E::TOPIC, name: E::NAME, content_type: E::CONTENT_TYPE });
    assert_eq!(E::CONTENT_TYPE, "application/protobuf");
    assert_eq!(event.key(), "someone");
    let bytes = IntegrationEvent::encode(&event).unwrap();
    assert_eq!(<E as IntegrationEvent>::decode(&bytes).unwrap(), event);
    assert_eq!(<E as Subscribable>::decode(name, 1, &bytes).unwrap(), event);
    assert!(<E as IntegrationEvent>::decode(b"\xff").is_err());
}

#[test]
fn each_event_round_trips_under_its_name() {
    let user_id = || "someone".to_owned();
    let user = "user.events.v1";
    round_trips(UserRegistered { user_id: user_id(), ..<_>::default() }, "com.hearlers.v1.user.registered", user);
    round_trips(UserUpdated { user_id: user_id(), ..<_>::default() }, "com.hearlers.v1.user.updated", user);
    round_trips(TokensSpent { user_id: user_id(), ..<_>::default() }, "com.hearlers.v1.user.tokens.spent", user);
    let counseling = "counseling.events.v1";
    let created = CounselCreated { user_id: user_id(), ..<_>::default() };
    round_trips(created, "com.hearlers.v1.counsel.created", counseling);
    let sent = CounselMessageCreated { user_id: user_id(), ..<_>::default() };
    round_trips(sent, "com.hearlers.v1.counsel.message.created", counseling);
    let replied = CounselReplied { user_id: user_id(), ..<_>::default() };
    round_trips(replied, "com.hearlers.v1.counsel.replied", counseling);
    let failed = CounselReplyFailed { user_id: user_id(), ..<_>::default() };
    round_trips(failed, "com.hearlers.v1.counsel.reply.failed", counseling);
    assert_eq!(TOPICS, [counseling, user]);
}
