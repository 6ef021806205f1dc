//! Tests of messages that speak of a crisis: the notice, the stored event, and the cost.
use crate::{
    fixture::{Fixture, KIM},
    responder::Step,
};
use contracts::{
    LANGUAGE_METADATA,
    v1::{
        model::{CrisisNotice, RiskKind},
        service::{
            CreateBubbleRequest, CreateCounselRequest, CreateMessageRequest, CreateMessageResponse,
            FindCounselorsRequest,
        },
    },
};
use counseling_service::application::ports::NotConfirmed;
use cqrs_core::storage::ReadLimit;
use service_edge::testing::{by, by_admin};
use uuid::Uuid;

service_edge::cases![
    a_message_in_a_crisis_gets_a_notice,
    the_stored_event_has_the_kind_and_no_words,
    an_exchange_in_a_crisis_is_free,
    a_message_in_a_crisis_is_answered_when_the_responder_fails,
    a_notice_is_in_the_language_of_the_request,
    a_message_in_a_crisis_needs_no_token,
    a_casual_counsellor_greets_and_warns_in_casual_speech,
    an_answer_to_a_bubble_in_a_crisis_gets_a_notice,
];

const THREAT: &str = "그 사람을 죽이고 싶어요";

fn notice(answer: &CreateMessageResponse) -> &CrisisNotice {
    answer.crisis.as_ref().expect("a notice")
}

async fn a_message_in_a_crisis_gets_a_notice(fixture: Fixture) -> anyhow::Result<()> {
    let (counsel, exchange) = (fixture.opened().await?, Uuid::now_v7());
    for (message, kind, numbers) in [
        ("죽고만 싶어요", RiskKind::SelfHarm, ["109", "119", "112"].as_slice()),
        ("죽을 것 같아요", RiskKind::SelfHarm, &["109"]),
        (THREAT, RiskKind::HarmToOthers, &["112"]),
        ("아빠가 때려요", RiskKind::Abuse, &["1366", "112"]),
    ] {
        let answer = fixture.send(&counsel, Uuid::now_v7(), message).await?;
        assert_eq!(notice(&answer).kind(), kind, "{message}");
        assert_eq!(notice(&answer).numbers, numbers, "{message}");
        assert!(numbers.iter().all(|number| notice(&answer).text.contains(number)), "{message}");
        // The model is asked all the same, and knows of the danger.
        let asked = fixture.responder.prompts();
        assert_eq!(asked.last().map(|prompt| prompt.message.as_str()), Some(message));
        assert!(asked.last().is_some_and(|prompt| prompt.instruction.contains("주의:")), "{message}");
    }
    let harmless = fixture.send(&counsel, Uuid::now_v7(), "웃겨 죽겠어요").await?;
    assert_eq!(harmless.crisis, None);
    assert!(!fixture.responder.prompts().last().unwrap().instruction.contains("주의:"));

    let first = fixture.send(&counsel, exchange, THREAT).await?;
    assert_eq!(fixture.send(&counsel, exchange, THREAT).await?, first, "a repetition has the notice too");
    Ok(())
}

async fn the_stored_event_has_the_kind_and_no_words(fixture: Fixture) -> anyhow::Result<()> {
    let counsel = fixture.opened().await?;
    let stored = async |message: &str| {
        let answer = fixture.send(&counsel, Uuid::now_v7(), message).await?;
        let stream = format!("crisis/{}", answer.created_counsel_message.unwrap().id);
        anyhow::Ok(fixture.app.storage().stream_page(&stream, 0, ReadLimit::entries(9)).await?)
    };
    let events = stored(THREAT).await?;
    assert_eq!(events.iter().map(|entry| entry.name.as_str()).collect::<Vec<_>>(), ["crisis.crisis_detected"]);
    let payload = String::from_utf8(events[0].payload.clone())?;
    assert!(payload.contains("HarmToOthers") && payload.contains(&counsel), "{payload}");
    assert!(payload.is_ascii(), "a word of the message is in {payload}");
    assert_eq!(events[0].outgoing, None, "no other service is informed");
    assert!(stored("안녕하세요").await?.is_empty());
    Ok(())
}

async fn an_exchange_in_a_crisis_is_free(fixture: Fixture) -> anyhow::Result<()> {
    let (counsel, free, paid) = (fixture.opened().await?, Uuid::now_v7(), Uuid::now_v7());
    fixture.wallets.hold(free, 3);
    fixture.send(&counsel, free, "살고 싶지가 않아요").await?;
    fixture.send(&counsel, paid, "오늘은 비가 왔어요").await?;
    let events = fixture.events().await;
    assert!(events.contains(&format!("replied {free} free of attempt 3")), "{events:?}");
    assert!(events.contains(&format!("replied {paid}")), "{events:?}");
    Ok(())
}

async fn a_message_in_a_crisis_is_answered_when_the_responder_fails(fixture: Fixture) -> anyhow::Result<()> {
    let counsel = fixture.opened().await?;
    fixture.responder.then(Step::Fail);
    let answer = fixture.send(&counsel, Uuid::now_v7(), "유서를 썼어요").await?;
    assert_eq!(answer.counselor_response_message.as_ref().unwrap().message, notice(&answer).text);
    assert!(!fixture.events().await.iter().any(|event| event.starts_with("failed")));
    Ok(())
}

async fn a_notice_is_in_the_language_of_the_request(fixture: Fixture) -> anyhow::Result<()> {
    let (counsel_id, exchange_id) = (fixture.opened().await?, Some(Uuid::now_v7().to_string()));
    let mut texts = Vec::new();
    for language in ["en", "ko", "fr"] {
        let (counsel_id, exchange_id) = (counsel_id.clone(), exchange_id.clone());
        let message = "I will hang myself tonight".to_owned();
        let mut request = by(KIM, CreateMessageRequest { counsel_id, message, exchange_id, attempt: None });
        request.metadata_mut().insert(LANGUAGE_METADATA, language.parse()?);
        let answer = fixture.counsels.clone().create_message(request).await?.into_inner();
        assert_eq!(notice(&answer).numbers, ["109", "119", "112"]);
        texts.push(notice(&answer).text.clone());
    }
    assert!(texts[0].is_ascii() && texts[0].contains("109"), "{texts:?}");
    assert!(!texts[1].is_ascii() && texts[1] == texts[2], "{texts:?}");
    // Without a reply of the model, the notice is the reply, in the same language.
    fixture.responder.then(Step::Fail);
    let (message, exchange_id) = ("I took an overdose".to_owned(), Some(Uuid::now_v7().to_string()));
    let mut request = by(KIM, CreateMessageRequest { counsel_id, message, exchange_id, attempt: None });
    request.metadata_mut().insert(LANGUAGE_METADATA, "en".parse()?);
    let answer = fixture.counsels.clone().create_message(request).await?.into_inner();
    assert_eq!(answer.counselor_response_message.as_ref().unwrap().message, texts[0]);
    Ok(())
}

/// The wallet is empty, or its service is away: the message is free, so it needs no hold.
async fn a_message_in_a_crisis_needs_no_token(fixture: Fixture) -> anyhow::Result<()> {
    let counsel = fixture.opened().await?;
    for refusal in [NotConfirmed::NoHold, NotConfirmed::Unavailable("it is down".into())] {
        fixture.wallets.refuse(refusal);
        let (danger, failed) = (Uuid::now_v7(), Uuid::now_v7());
        let answer = fixture.send(&counsel, danger, "죽고 싶어요").await?;
        assert_eq!(notice(&answer).numbers, ["109", "119", "112"]);
        assert_eq!(fixture.send(&counsel, danger, "죽고 싶어요").await?, answer, "a repetition has the same reply");
        fixture.send(&counsel, failed, "안녕").await.unwrap_err();
        let events = fixture.events().await;
        assert!(events.contains(&format!("replied {danger} free of attempt 0")), "{events:?}");
    }
    Ok(())
}

async fn a_casual_counsellor_greets_and_warns_in_casual_speech(fixture: Fixture) -> anyhow::Result<()> {
    let found = fixture.counselors.clone().find_counselors(FindCounselorsRequest::default()).await?.into_inner();
    for (name, is_casual) in [("콩", true), ("하늘", false)] {
        let counselor_id = found.counselors.iter().find(|counselor| counselor.name == name).unwrap().id.clone();
        let request = CreateCounselRequest { user_id: KIM.to_string(), counselor_id, ..Default::default() };
        let opened = fixture.open(request).await?;
        let greeting = &opened.counsel_messages[0].message;
        assert_eq!(greeting.starts_with("안녕, "), is_casual, "{greeting}");
        let answer = fixture.send(&opened.counsel.unwrap().id, Uuid::now_v7(), "뛰어내리고 싶어요").await?;
        assert_eq!(!notice(&answer).text.contains("요."), is_casual, "{}", notice(&answer).text);
    }
    Ok(())
}

async fn an_answer_to_a_bubble_in_a_crisis_gets_a_notice(fixture: Fixture) -> anyhow::Result<()> {
    let counselor_id = fixture.counselor().await?;
    let bubble = CreateBubbleRequest {
        counselor_id: counselor_id.clone(),
        question: "요즘 어때요?".into(),
        response_option1: "죽고만 싶어요".into(),
        response_option2: "그저 그래요".into(),
    };
    let created = fixture.counselors.clone().create_bubble(by_admin(KIM, bubble)).await?.into_inner();
    let answer = |option: i32, exchange: Uuid| CreateCounselRequest {
        user_id: KIM.to_string(),
        counselor_id: counselor_id.clone(),
        bubble_id: created.bubble.as_ref().map(|bubble| bubble.id.clone()),
        response_option_no: Some(option),
        exchange_id: Some(exchange.to_string()),
        ..Default::default()
    };
    let (in_danger, harmless) = (Uuid::now_v7(), Uuid::now_v7());
    let opened = fixture.open(answer(1, in_danger)).await?;
    let notice = opened.crisis.clone().expect("a notice");
    assert_eq!(
        (notice.kind(), notice.numbers.as_slice()),
        (RiskKind::SelfHarm, &["109", "119", "112"].map(String::from)[..])
    );
    assert!(fixture.responder.prompts().last().unwrap().instruction.contains("주의:"));
    let stream = format!("crisis/{}", opened.counsel_messages[1].id);
    assert_eq!(fixture.app.storage().stream(&stream, 0, None).await?.found.len(), 1);
    assert_eq!(fixture.open(answer(1, in_danger)).await?, opened, "a repetition has the notice too");
    assert_eq!(fixture.open(answer(2, harmless)).await?.crisis, None);
    let events = fixture.events().await;
    assert!(events.contains(&format!("replied {in_danger} free of attempt 1")), "{events:?}");
    assert!(events.contains(&format!("replied {harmless}")), "{events:?}");

    // Without a reply of the model, the notice is the reply.
    fixture.responder.then(Step::Fail);
    let opened = fixture.open(answer(1, Uuid::now_v7())).await?;
    assert_eq!(opened.counsel_messages[2].message, notice.text);
    Ok(())
}
