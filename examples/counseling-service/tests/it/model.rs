//! Tests of a language model as the responder: it needs a consent of its own, and its calls are limited.
use crate::{
    fixture::{Fixture, KIM},
    responder::{Scripted, Step},
};
use contracts::{CONSENT_REQUIRED, v1::model::ConsentKind};
use cqrs_core::grpc::details;
use service_edge::testing::TestDatabase;
use test_support::Trials;
use tonic::{Code, Status};
use uuid::Uuid;

pub(crate) fn trials() -> Trials {
    Trials::new()
        .test("a language model needs a consent of its own", a_model_needs_a_consent)
        .test("every call counts, and the day's last message is refused before it is stored", the_calls_are_limited)
        .test("a message in a crisis is answered when no call is left", a_crisis_is_answered_when_no_call_is_left)
}

fn reason(status: &Status) -> (Code, String) {
    (status.code(), details(status).reason.unwrap_or_default())
}

async fn a_model_needs_a_consent() -> anyhow::Result<()> {
    let fixture = Fixture::with(TestDatabase::Memory, Scripted::language_model(), 10).await?;
    let counsel = fixture.opened().await?;
    let refused = fixture.send(&counsel, Uuid::now_v7(), "안녕").await.unwrap_err();
    assert_eq!(reason(&refused), (Code::FailedPrecondition, CONSENT_REQUIRED.to_owned()));
    assert_eq!((fixture.responder.count(), fixture.messages(&counsel).await?.len()), (0, 1));
    fixture.consent(KIM, ConsentKind::ForeignModel).await?;
    fixture.send(&counsel, Uuid::now_v7(), "안녕").await?;
    Ok(())
}

async fn the_calls_are_limited() -> anyhow::Result<()> {
    let fixture = Fixture::with(TestDatabase::Memory, Scripted::language_model(), 2).await?;
    fixture.consent(KIM, ConsentKind::ForeignModel).await?;
    let (counsel, exchange) = (fixture.opened().await?, Uuid::now_v7());
    // A failed call is paid for as well.
    fixture.responder.then(Step::Fail);
    assert_eq!(fixture.send(&counsel, exchange, "안녕").await.unwrap_err().code(), Code::Unavailable);
    let first = fixture.send(&counsel, exchange, "안녕").await?;
    let refused = fixture.send(&counsel, Uuid::now_v7(), "여보세요").await.unwrap_err();
    assert_eq!(reason(&refused), (Code::ResourceExhausted, "MODEL_BUDGET_USED_UP".to_owned()));
    assert_eq!((fixture.responder.count(), fixture.messages(&counsel).await?.len()), (2, 3));
    assert_eq!(fixture.send(&counsel, exchange, "안녕").await?, first, "a stored reply costs no call");
    fixture.environment.pass(24 * 3600);
    fixture.send(&counsel, Uuid::now_v7(), "여보세요").await?;
    Ok(())
}

async fn a_crisis_is_answered_when_no_call_is_left() -> anyhow::Result<()> {
    let fixture = Fixture::with(TestDatabase::Memory, Scripted::language_model(), 1).await?;
    fixture.consent(KIM, ConsentKind::ForeignModel).await?;
    let counsel = fixture.opened().await?;
    fixture.send(&counsel, Uuid::now_v7(), "안녕").await?;
    let refused = fixture.send(&counsel, Uuid::now_v7(), "여보세요").await.unwrap_err();
    assert_eq!(reason(&refused), (Code::ResourceExhausted, "MODEL_BUDGET_USED_UP".to_owned()));
    let answered = fixture.send(&counsel, Uuid::now_v7(), "죽고만 싶어요").await?;
    let notice = answered.crisis.unwrap_or_default();
    assert_eq!(answered.counselor_response_message.unwrap_or_default().message, notice.text);
    assert_eq!((notice.numbers.first().map(String::as_str), fixture.responder.count()), (Some("109"), 1));
    Ok(())
}
