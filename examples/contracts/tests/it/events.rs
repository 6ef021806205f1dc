//! Every event can be told and heard under the name that `fields.txt` promises.
use contracts::v1::message::{
    CounselCreated, CounselMessageCreated, CounselReplied, CounselReplyFailed, TOPICS, TokensSpent, UserRegistered,
    UserUpdated,
};
use cqrs_core::{Contract, Heard, Source};
use std::fmt::Debug;

fn told_and_heard<E: Contract + Heard + PartialEq + Debug>(event: E, name: &str, topic: &str) {
    assert_eq!((E::NAME, E::TOPIC), (name, topic));
    assert_eq!(E::SOURCE, Source::Topic { topic: E::TOPIC, name: E::NAME });
    assert_eq!(event.key(), "someone");
    let bytes = Contract::encode(&event);
    assert_eq!(<E as Contract>::decode(&bytes).unwrap(), event);
    assert_eq!(<E as Heard>::decode(name, 1, &bytes).unwrap(), event);
    assert!(<E as Contract>::decode(b"\xff").is_err());
}

#[test]
fn each_event_is_told_and_heard() {
    let user_id = || "someone".to_owned();
    let user = "user.events.v1";
    told_and_heard(UserRegistered { user_id: user_id(), ..<_>::default() }, "com.hearlers.v1.user.registered", user);
    told_and_heard(UserUpdated { user_id: user_id(), ..<_>::default() }, "com.hearlers.v1.user.updated", user);
    told_and_heard(TokensSpent { user_id: user_id(), ..<_>::default() }, "com.hearlers.v1.user.tokens.spent", user);
    let counseling = "counseling.events.v1";
    let created = CounselCreated { user_id: user_id(), ..<_>::default() };
    told_and_heard(created, "com.hearlers.v1.counsel.created", counseling);
    let said = CounselMessageCreated { user_id: user_id(), ..<_>::default() };
    told_and_heard(said, "com.hearlers.v1.counsel.message.created", counseling);
    let replied = CounselReplied { user_id: user_id(), ..<_>::default() };
    told_and_heard(replied, "com.hearlers.v1.counsel.replied", counseling);
    let failed = CounselReplyFailed { user_id: user_id(), ..<_>::default() };
    told_and_heard(failed, "com.hearlers.v1.counsel.reply.failed", counseling);
    assert_eq!(TOPICS, [counseling, user]);
}
