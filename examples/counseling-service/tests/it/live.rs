//! Tests of the messages of a counsel as they come: a server-streaming call.
use crate::fixture::{Fixture, KIM, LEE};
use contracts::v1::{
    model::CounselMessageReaction::Like,
    service::{ReactMessageRequest, WatchMessagesRequest, WatchMessagesResponse},
};
use cqrs_core::grpc::details;
use service_edge::testing::by;
use std::time::Duration;
use tonic::{Code, Streaming};
use uuid::Uuid;

service_edge::cases![
    a_message_and_its_reply_come_without_another_call,
    a_client_resumes_without_a_gap_and_without_a_repetition,
    another_persons_messages_cannot_be_watched,
    a_text_that_is_no_resume_token_is_refused,
];

/// Less than the time after which the service reads an answer again without a sign of a change.
const SOON: Duration = Duration::from_secs(4);

async fn watch(
    fixture: &Fixture,
    counsel: &str,
    resume: Option<String>,
) -> anyhow::Result<Streaming<WatchMessagesResponse>> {
    let request = WatchMessagesRequest { counsel_id: counsel.to_owned(), resume };
    Ok(fixture.counsels.clone().watch_messages(by(KIM, request)).await?.into_inner())
}
async fn next(stream: &mut Streaming<WatchMessagesResponse>) -> anyhow::Result<WatchMessagesResponse> {
    let next = tokio::time::timeout(SOON, stream.message()).await??;
    next.ok_or_else(|| anyhow::anyhow!("the stream has ended"))
}

async fn a_message_and_its_reply_come_without_another_call(fixture: Fixture) -> anyhow::Result<()> {
    let counsel_id = fixture.opened().await?;
    let greeting = fixture.messages(&counsel_id).await?;
    let mut stream = watch(&fixture, &counsel_id, None).await?;
    let first = next(&mut stream).await?;
    assert_eq!((first.counsel_messages, first.is_first), (greeting, true));
    let sent = fixture.send(&counsel_id, Uuid::now_v7(), "안녕").await?;
    let mut seen = Vec::new();
    while seen.len() < 2 {
        let update = next(&mut stream).await?;
        assert!(!update.is_first);
        seen.extend(update.counsel_messages);
    }
    let expected = [sent.created_counsel_message, sent.counselor_response_message];
    assert_eq!(seen.iter().cloned().map(Some).collect::<Vec<_>>(), expected);
    let react = ReactMessageRequest { message_id: seen[1].id.clone(), reaction: Like.into() };
    let reacted = fixture.counsels.clone().react_message(by(KIM, react)).await?.into_inner();
    let update = next(&mut stream).await?;
    assert_eq!(update.counsel_messages, reacted.counsel_message.into_iter().collect::<Vec<_>>());
    Ok(())
}

async fn a_client_resumes_without_a_gap_and_without_a_repetition(fixture: Fixture) -> anyhow::Result<()> {
    let counsel_id = fixture.opened().await?;
    let resume = next(&mut watch(&fixture, &counsel_id, None).await?).await?.resume;
    let mut stream = watch(&fixture, &counsel_id, Some(resume.clone())).await?;
    let nothing = tokio::time::timeout(Duration::from_millis(300), stream.message()).await;
    assert!(nothing.is_err(), "the client has the first response: {nothing:?}");
    drop(stream);
    fixture.send(&counsel_id, Uuid::now_v7(), "안녕").await?;
    let missed = next(&mut watch(&fixture, &counsel_id, Some(resume)).await?).await?;
    assert!(missed.is_first);
    assert_eq!(missed.counsel_messages, fixture.messages(&counsel_id).await?);
    Ok(())
}

async fn another_persons_messages_cannot_be_watched(fixture: Fixture) -> anyhow::Result<()> {
    let request = WatchMessagesRequest { counsel_id: fixture.opened().await?, resume: None };
    let refused = fixture.counsels.clone().watch_messages(by(LEE, request.clone())).await.map(drop).unwrap_err();
    assert_eq!(refused.code(), Code::NotFound);
    let nobody = fixture.counsels.clone().watch_messages(request).await.map(drop).unwrap_err();
    assert_eq!(nobody.code(), Code::Unauthenticated);
    Ok(())
}

async fn a_text_that_is_no_resume_token_is_refused(fixture: Fixture) -> anyhow::Result<()> {
    let request = WatchMessagesRequest { counsel_id: fixture.opened().await?, resume: Some("7".to_owned()) };
    let refused = fixture.counsels.clone().watch_messages(by(KIM, request)).await.map(drop).unwrap_err();
    assert_eq!((refused.code(), &*details(&refused).fields[0].0), (Code::InvalidArgument, "resume"));
    Ok(())
}
