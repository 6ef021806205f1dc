//! Tests of sending a message: the reply is stored once, through retries, failures and crashes.
use crate::{
    fixture::{Fixture, KIM},
    responder::Step,
};
use contracts::v1::service::CreateMessageRequest;
use counseling_service::{
    application::commands::{AskCounselor, Attempt, NewMessage},
    domain::counsel::MessageText,
};
use cqrs_core::grpc::{consistency_token, details};
use service_edge::testing::by;
use tokio::sync::oneshot;
use tonic::Code;
use uuid::Uuid;

service_edge::cases![
    a_message_gets_a_reply,
    a_repeated_exchange_returns_the_stored_reply,
    a_concurrent_repeat_of_an_exchange_stores_one_reply,
    an_exchange_id_is_refused_for_another_message,
    a_failed_reply_succeeds_on_a_retry,
    a_crash_between_message_and_reply_is_recovered_by_a_retry,
    a_second_message_is_refused_while_the_first_waits_for_its_reply,
    an_overdue_exchange_is_given_up_for_another_message,
    the_reply_is_stored_after_the_caller_disconnects,
    an_empty_reply_fails_the_attempt,
    defect_05_a_refused_message_publishes_no_event,
    defect_07_the_newest_messages_reach_the_responder_in_order_and_the_current_one_once,
    defect_11_a_message_must_have_1_to_80_characters,
];

async fn a_message_gets_a_reply(fixture: Fixture) -> anyhow::Result<()> {
    let counsel = fixture.opened().await?;
    fixture.responder.then(Step::Say("잠이 안 오면 힘들지요."));
    let request =
        CreateMessageRequest {
            counsel_id: counsel.clone(), message: " 잠이 안 와요 ".into(), ..Default::default()
        };
    let answer = fixture.counsels.clone().create_message(by(KIM, request)).await?;
    assert!(consistency_token(answer.metadata()).of("counseling").0 > 0);
    let answer = answer.into_inner();
    let (question, reply) = (answer.created_counsel_message.unwrap(), answer.counselor_response_message.unwrap());
    assert!(question.is_user_message && question.message == "잠이 안 와요" && question.counsel_id == counsel);
    assert!(!reply.is_user_message && reply.message == "잠이 안 오면 힘들지요.");
    assert_eq!(fixture.messages(&counsel).await?[1..], [question, reply]);

    fixture.send(&counsel, Uuid::now_v7(), "고마워요").await?;
    let asked = fixture.responder.prompts();
    assert_eq!((asked[0].counselor.as_str(), asked[0].history.len(), asked[1].history.len()), ("하늘", 1, 3));
    assert!(asked[0].persona.contains("하늘") && asked[0].tone.contains("존댓말"));
    assert!(!asked[0].context.is_empty() && asked[0].instruction.contains("109"));
    assert_eq!((&*asked[1].history[2].text, &*asked[1].message), ("잠이 안 오면 힘들지요.", "고마워요"));
    Ok(())
}

async fn a_repeated_exchange_returns_the_stored_reply(fixture: Fixture) -> anyhow::Result<()> {
    let (counsel, exchange) = (fixture.opened().await?, Uuid::now_v7());
    let first = fixture.send(&counsel, exchange, "안녕").await?;
    assert_eq!(fixture.send(&counsel, exchange, " 안녕 ").await?, first);
    fixture.send(&counsel, Uuid::now_v7(), "또 왔어요").await?;
    fixture.environment.pass(3600);
    assert_eq!(fixture.send(&counsel, exchange, "안녕").await?, first);
    assert_eq!((fixture.responder.count(), fixture.messages(&counsel).await?.len()), (2, 5));
    assert_eq!(fixture.events().await.iter().filter(|event| event.starts_with("replied")).count(), 2);
    Ok(())
}

async fn a_concurrent_repeat_of_an_exchange_stores_one_reply(fixture: Fixture) -> anyhow::Result<()> {
    let counsel = fixture.opened().await?;
    for round in 1..=5 {
        let exchange = Uuid::now_v7();
        let (one, other) =
            tokio::join!(fixture.send(&counsel, exchange, "안녕"), fixture.send(&counsel, exchange, "안녕"));
        for one in [one, other] {
            assert!(one.as_ref().map_or_else(|status| status.code() == Code::Unavailable, |_| true), "{one:?}");
        }
        fixture.send(&counsel, exchange, "안녕").await?;
        assert_eq!((fixture.responder.count(), fixture.messages(&counsel).await?.len()), (round, 1 + 2 * round));
    }
    Ok(())
}

async fn an_exchange_id_is_refused_for_another_message(fixture: Fixture) -> anyhow::Result<()> {
    let (counsel, other, exchange) = (fixture.opened().await?, fixture.opened().await?, Uuid::now_v7());
    fixture.send(&counsel, exchange, "안녕").await?;
    for refused in [fixture.send(&counsel, exchange, "안녕?").await, fixture.send(&other, exchange, "안녕").await] {
        let refused = refused.unwrap_err();
        assert_eq!(refused.code(), Code::AlreadyExists);
        assert_eq!(details(&refused).reason.as_deref(), Some("EXCHANGE_REUSED"));
    }
    assert_eq!((fixture.messages(&other).await?.len(), fixture.responder.count()), (1, 1));
    Ok(())
}

async fn a_failed_reply_succeeds_on_a_retry(fixture: Fixture) -> anyhow::Result<()> {
    let (counsel, exchange) = (fixture.opened().await?, Uuid::now_v7());
    for attempt in 1..=2 {
        fixture.wallets.hold(exchange, attempt);
        fixture.responder.then(Step::Fail);
        let failed = fixture.send(&counsel, exchange, "안녕").await.unwrap_err();
        assert_eq!(failed.code(), Code::Unavailable);
        assert!(details(&failed).retry_after.is_some());
        assert!(!failed.message().contains("model"), "the cause appears only in the log");
        assert_eq!(fixture.talk(&counsel).await?[1..], ["person: 안녕"]);
    }
    // Another message may be sent in between.
    fixture.send(&counsel, Uuid::now_v7(), "여보세요").await?;
    fixture.send(&counsel, exchange, "안녕").await?;
    let talk = ["person: 안녕", "person: 여보세요", "counselor: 답장 3", "counselor: 답장 4"];
    assert_eq!(fixture.talk(&counsel).await?[1..], talk);
    let events = fixture.events().await;
    let failed: Vec<_> = events.iter().filter(|event| event.starts_with("failed")).collect();
    let attempt = |number| format!("failed {exchange} attempt {number}: the model is down");
    assert_eq!(failed, [&attempt(1), &attempt(2)]);
    assert_eq!(events.last(), Some(&format!("replied {exchange}")));
    Ok(())
}

/// Simulates a process that ends right after the person's message was stored.
async fn ask_and_crash(fixture: &Fixture, counsel: &str, exchange: Uuid, text: &str) -> anyhow::Result<()> {
    let text = MessageText::parse(text)?;
    let message = NewMessage { counsel: counsel.parse()?, user: KIM.into(), text };
    let attempt = Attempt { exchange: exchange.into(), number: Some(1) };
    fixture.app.send(AskCounselor { message, attempt }).await?;
    Ok(())
}

async fn a_crash_between_message_and_reply_is_recovered_by_a_retry(fixture: Fixture) -> anyhow::Result<()> {
    let (counsel, exchange) = (fixture.opened().await?, Uuid::now_v7());
    ask_and_crash(&fixture, &counsel, exchange, "안녕").await?;
    let waiting = fixture.send(&counsel, exchange, "안녕").await.unwrap_err();
    assert_eq!(waiting.code(), Code::Unavailable, "the first attempt may still reply");
    assert!(details(&waiting).retry_after.is_some());
    fixture.environment.pass(31);
    fixture.send(&counsel, exchange, "안녕").await?;
    assert_eq!(fixture.talk(&counsel).await?[1..], ["person: 안녕", "counselor: 답장 1"]);
    assert!(!fixture.events().await.iter().any(|event| event.starts_with("failed")));

    let exchange = Uuid::now_v7();
    ask_and_crash(&fixture, &counsel, exchange, "또 안녕").await?;
    fixture.environment.pass(61);
    fixture.wallets.hold(exchange, 2); // the first hold has expired as well
    fixture.responder.then(Step::Fail);
    assert_eq!(fixture.send(&counsel, exchange, "또 안녕").await.unwrap_err().code(), Code::Unavailable);
    assert!(fixture.events().await.contains(&format!("failed {exchange} attempt 2: the model is down")));
    Ok(())
}

async fn a_second_message_is_refused_while_the_first_waits_for_its_reply(fixture: Fixture) -> anyhow::Result<()> {
    let (counsel, other, exchange) = (fixture.opened().await?, fixture.opened().await?, Uuid::now_v7());
    let (speak, words) = oneshot::channel();
    fixture.responder.then(Step::Wait(words));
    let first = fixture.send(&counsel, exchange, "안녕");
    let meanwhile = async {
        while fixture.responder.count() == 0 {
            tokio::task::yield_now().await;
        }
        let second = fixture.send(&counsel, Uuid::now_v7(), "여보세요").await.unwrap_err();
        assert_eq!(
            (second.code(), details(&second).reason.as_deref()),
            (Code::ResourceExhausted, Some("COUNSEL_BUSY"))
        );
        let same = fixture.send(&counsel, exchange, "안녕").await.unwrap_err();
        assert_eq!(same.code(), Code::Unavailable);
        let reused = fixture.send(&counsel, exchange, "여보세요").await.unwrap_err();
        assert_eq!(reused.code(), Code::AlreadyExists, "with another text, as after the reply");
        assert_eq!(details(&reused).reason.as_deref(), Some("EXCHANGE_REUSED"));
        let elsewhere = fixture.send(&other, Uuid::now_v7(), "여보세요").await;
        speak.send("기다렸지요?").unwrap();
        elsewhere
    };
    let (first, elsewhere) = tokio::join!(first, meanwhile);
    elsewhere?;
    assert_eq!(first?.counselor_response_message.unwrap().message, "기다렸지요?");
    assert_eq!(fixture.talk(&counsel).await?[1..], ["person: 안녕", "counselor: 기다렸지요?"]);
    fixture.send(&counsel, Uuid::now_v7(), "여보세요").await?;
    Ok(())
}

async fn an_overdue_exchange_is_given_up_for_another_message(fixture: Fixture) -> anyhow::Result<()> {
    let (counsel, crashed, next) = (fixture.opened().await?, Uuid::now_v7(), Uuid::now_v7());
    ask_and_crash(&fixture, &counsel, crashed, "안녕").await?;
    fixture.environment.pass(10);
    for (exchange, text, code) in [(next, "여보세요", Code::ResourceExhausted), (crashed, "안녕", Code::Unavailable)]
    {
        let refused = fixture.send(&counsel, exchange, text).await.unwrap_err();
        assert_eq!(refused.code(), code);
        let wait = details(&refused).retry_after.unwrap();
        assert!((15..=20).contains(&wait.as_secs()), "the rest of 30 seconds: {wait:?}");
    }
    fixture.environment.pass(21);
    fixture.send(&counsel, next, "여보세요").await?;
    let events = fixture.events().await;
    assert!(events.contains(&format!("failed {crashed} attempt 1: no reply within the time limit")), "{events:?}");
    fixture.send(&counsel, crashed, "안녕").await?;
    let talk = ["person: 안녕", "person: 여보세요", "counselor: 답장 1", "counselor: 답장 2"];
    assert_eq!(fixture.talk(&counsel).await?[1..], talk);
    Ok(())
}

async fn the_reply_is_stored_after_the_caller_disconnects(fixture: Fixture) -> anyhow::Result<()> {
    let (counsel, exchange) = (fixture.opened().await?, Uuid::now_v7());
    let (speak, words) = oneshot::channel();
    fixture.responder.then(Step::Wait(words));
    tokio::select! {
        sent = fixture.send(&counsel, exchange, "안녕") => panic!("{sent:?}"),
        () = async { while fixture.responder.count() == 0 { tokio::task::yield_now().await } } => (),
    }
    speak.send("여기 있어요.").unwrap();
    while fixture.messages(&counsel).await?.len() < 3 {
        tokio::task::yield_now().await;
    }
    let answer = fixture.send(&counsel, exchange, "안녕").await?;
    assert_eq!(answer.counselor_response_message.unwrap().message, "여기 있어요.");
    assert_eq!(fixture.responder.count(), 1);
    Ok(())
}

async fn an_empty_reply_fails_the_attempt(fixture: Fixture) -> anyhow::Result<()> {
    let (counsel, exchange) = (fixture.opened().await?, Uuid::now_v7());
    fixture.responder.then(Step::Say(" \n"));
    assert_eq!(fixture.send(&counsel, exchange, "안녕").await.unwrap_err().code(), Code::Unavailable);
    assert!(fixture.events().await.iter().any(|event| event.starts_with(&format!("failed {exchange} attempt 1"))));
    Ok(())
}

async fn defect_11_a_message_must_have_1_to_80_characters(fixture: Fixture) -> anyhow::Result<()> {
    let counsel = fixture.opened().await?;
    let hidden = ["\u{200B}\u{200B}", "\u{FEFF}", "\u{3164}", "\u{E0041}", "나\u{202E}ㅋ", "안녕\u{7}", "안\u{0}녕"];
    for bad in hidden.into_iter().chain(["", " \t\n", "\u{FE0F}", &"가".repeat(81)]) {
        let refused = fixture.send(&counsel, Uuid::now_v7(), bad).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{bad:?}");
        assert_eq!(details(&refused).fields[0].0, "message");
    }
    assert_eq!(fixture.messages(&counsel).await?.len(), 1);
    fixture.send(&counsel, Uuid::now_v7(), "👩\u{200D}👩\u{200D}👧 덕분에\n웃었어요 ❤\u{FE0F}").await?;
    fixture.send(&counsel, Uuid::now_v7(), &"👩".repeat(80)).await?;
    Ok(())
}

async fn defect_05_a_refused_message_publishes_no_event(fixture: Fixture) -> anyhow::Result<()> {
    let (counsel, exchange) = (fixture.opened().await?, Uuid::now_v7());
    fixture.send(&counsel, exchange, "안녕").await?;
    let before = fixture.events().await;
    fixture.send(&counsel, exchange, "다른 말").await.unwrap_err();
    fixture.send(&counsel, Uuid::now_v7(), "").await.unwrap_err();
    fixture.send(&Uuid::now_v7().to_string(), Uuid::now_v7(), "안녕").await.unwrap_err();
    assert_eq!(fixture.events().await, before);
    // Each event has the person as its key, so that theirs stay in order, and no text.
    let said = [r#"person said """#, r#"counselor said """#].map(|said| format!("{said} in the order of {KIM}"));
    assert_eq!(before[2..], [&said[..], &[format!("replied {exchange}")]].concat());
    Ok(())
}

async fn defect_07_the_newest_messages_reach_the_responder_in_order_and_the_current_one_once(
    fixture: Fixture,
) -> anyhow::Result<()> {
    let (counsel, early) = (fixture.opened().await?, Uuid::now_v7());
    fixture.send(&counsel, Uuid::now_v7(), "먼저").await?;
    fixture.responder.then(Step::Fail);
    fixture.send(&counsel, early, "나중에 답할 말").await.unwrap_err();
    for number in 0..20 {
        fixture.send(&counsel, Uuid::now_v7(), &format!("말 {number}")).await?;
    }
    let all: Vec<_> = fixture.messages(&counsel).await?.into_iter().map(|message| message.message).collect();
    let asked = fixture.responder.prompts().pop().unwrap();
    assert_eq!(asked.message, "말 19");
    let history: Vec<_> = asked.history.into_iter().map(|turn| turn.text).collect();
    assert_eq!((history.len(), &history[..]), (30, &all[all.len() - 32..all.len() - 2]));
    // A resumed exchange gets the messages before its own, and none of those after it.
    fixture.send(&counsel, early, "나중에 답할 말").await?;
    let resumed = fixture.responder.prompts().pop().unwrap();
    assert_eq!(resumed.message, "나중에 답할 말");
    let history: Vec<_> = resumed.history.into_iter().map(|turn| turn.text).collect();
    assert_eq!(history, all[..3]);
    Ok(())
}
