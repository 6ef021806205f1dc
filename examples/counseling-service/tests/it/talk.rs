//! Saying something and being answered: once, whatever is retried, fails or crashes.
use crate::{
    cases,
    responder::Step,
    stage::{KIM, Stage, by},
};
use contracts::v1::service::CreateMessageRequest;
use counseling_service::{application::commands::AskCounselor, domain::counsel::Words};
use cqrs_core::grpc::{details, position};
use tokio::sync::oneshot;
use tonic::Code;
use uuid::Uuid;

cases![
    a_message_is_answered,
    the_same_exchange_gets_the_same_answer,
    the_same_exchange_twice_at_once_is_one,
    an_exchange_is_one_message,
    a_failed_reply_can_be_asked_for_again,
    a_crash_between_question_and_reply_is_got_over,
    one_exchange_is_open_at_a_time,
    an_exchange_that_crashed_makes_way_for_another,
    a_caller_who_hangs_up_is_answered_all_the_same,
    a_silent_responder_is_no_reply,
    messages_have_1_to_80_characters,
];

async fn a_message_is_answered(stage: Stage) -> anyhow::Result<()> {
    let counsel = stage.opened().await?;
    stage.responder.then(Step::Say("잠이 안 오면 힘들지요."));
    let request =
        CreateMessageRequest { counsel_id: counsel.clone(), message: " 잠이 안 와요 ".into(), exchange_id: None };
    let answer = stage.counsels.clone().create_message(by(KIM, request)).await?;
    assert!(position(answer.metadata()).of("counseling").0 > 0);
    let answer = answer.into_inner();
    let (question, reply) = (answer.created_counsel_message.unwrap(), answer.counselor_response_message.unwrap());
    assert!(question.is_user_message && question.message == "잠이 안 와요" && question.counsel_id == counsel);
    assert!(!reply.is_user_message && reply.message == "잠이 안 오면 힘들지요.");
    assert_eq!(stage.messages(&counsel).await?[1..], [question, reply]);

    stage.say(&counsel, Uuid::now_v7(), "고마워요").await?;
    let asked = stage.responder.asked();
    assert_eq!((asked[0].counselor.as_str(), asked[0].history.len(), asked[1].history.len()), ("하늘", 1, 3));
    assert!(asked[0].persona.contains("하늘") && asked[0].tone.contains("존댓말"));
    assert!(!asked[0].context.is_empty() && asked[0].instruction.contains("109"));
    assert_eq!((&*asked[1].history[2].text, &*asked[1].message), ("잠이 안 오면 힘들지요.", "고마워요"));
    Ok(())
}

async fn the_same_exchange_gets_the_same_answer(stage: Stage) -> anyhow::Result<()> {
    let (counsel, exchange) = (stage.opened().await?, Uuid::now_v7());
    let first = stage.say(&counsel, exchange, "안녕").await?;
    assert_eq!(stage.say(&counsel, exchange, " 안녕 ").await?, first);
    stage.say(&counsel, Uuid::now_v7(), "또 왔어요").await?;
    stage.world.pass(3600);
    assert_eq!(stage.say(&counsel, exchange, "안녕").await?, first);
    assert_eq!((stage.responder.count(), stage.messages(&counsel).await?.len()), (2, 5));
    assert_eq!(stage.heard().await.iter().filter(|it| it.starts_with("replied")).count(), 2);
    Ok(())
}

async fn the_same_exchange_twice_at_once_is_one(stage: Stage) -> anyhow::Result<()> {
    let counsel = stage.opened().await?;
    for round in 1..=5 {
        let exchange = Uuid::now_v7();
        let (one, other) = tokio::join!(stage.say(&counsel, exchange, "안녕"), stage.say(&counsel, exchange, "안녕"));
        for one in [one, other] {
            assert!(one.as_ref().map_or_else(|it| it.code() == Code::Unavailable, |_| true), "{one:?}");
        }
        stage.say(&counsel, exchange, "안녕").await?;
        assert_eq!((stage.responder.count(), stage.messages(&counsel).await?.len()), (round, 1 + 2 * round));
    }
    Ok(())
}

async fn an_exchange_is_one_message(stage: Stage) -> anyhow::Result<()> {
    let (counsel, other, exchange) = (stage.opened().await?, stage.opened().await?, Uuid::now_v7());
    stage.say(&counsel, exchange, "안녕").await?;
    for refused in [stage.say(&counsel, exchange, "안녕?").await, stage.say(&other, exchange, "안녕").await] {
        let refused = refused.unwrap_err();
        assert_eq!(refused.code(), Code::AlreadyExists);
        assert_eq!(details(&refused).reason.as_deref(), Some("EXCHANGE_REUSED"));
    }
    assert_eq!((stage.messages(&other).await?.len(), stage.responder.count()), (1, 1));
    Ok(())
}

async fn a_failed_reply_can_be_asked_for_again(stage: Stage) -> anyhow::Result<()> {
    let (counsel, exchange) = (stage.opened().await?, Uuid::now_v7());
    for _ in 0..2 {
        stage.responder.then(Step::Fail);
        let failed = stage.say(&counsel, exchange, "안녕").await.unwrap_err();
        assert_eq!(failed.code(), Code::Unavailable);
        assert!(details(&failed).retry_after.is_some());
        assert!(!failed.message().contains("model"), "what broke is for the log");
        assert_eq!(stage.talk(&counsel).await?[1..], ["person: 안녕"]);
    }
    // Something else may be said meanwhile.
    stage.say(&counsel, Uuid::now_v7(), "여보세요").await?;
    stage.say(&counsel, exchange, "안녕").await?;
    let talk = ["person: 안녕", "person: 여보세요", "counselor: 답장 3", "counselor: 답장 4"];
    assert_eq!(stage.talk(&counsel).await?[1..], talk);
    let heard = stage.heard().await;
    let failed: Vec<_> = heard.iter().filter(|it| it.starts_with("failed")).collect();
    let attempt = |number| format!("failed {exchange} attempt {number}: the model is down");
    assert_eq!(failed, [&attempt(1), &attempt(2)]);
    assert_eq!(heard.last(), Some(&format!("replied {exchange}")));
    Ok(())
}

/// As if the process had ended right after the person's message was kept.
async fn ask_and_crash(stage: &Stage, counsel: &str, exchange: Uuid, words: &str) -> anyhow::Result<()> {
    let words = Words::parse(words)?;
    stage
        .app
        .send(AskCounselor { counsel: counsel.parse()?, user: KIM.into(), exchange: exchange.into(), words })
        .await?;
    Ok(())
}

async fn a_crash_between_question_and_reply_is_got_over(stage: Stage) -> anyhow::Result<()> {
    let (counsel, exchange) = (stage.opened().await?, Uuid::now_v7());
    ask_and_crash(&stage, &counsel, exchange, "안녕").await?;
    let waiting = stage.say(&counsel, exchange, "안녕").await.unwrap_err();
    assert_eq!(waiting.code(), Code::Unavailable, "it may be answered yet");
    assert!(details(&waiting).retry_after.is_some());
    stage.world.pass(31);
    stage.say(&counsel, exchange, "안녕").await?;
    assert_eq!(stage.talk(&counsel).await?[1..], ["person: 안녕", "counselor: 답장 1"]);
    assert!(!stage.heard().await.iter().any(|it| it.starts_with("failed")));

    let exchange = Uuid::now_v7();
    ask_and_crash(&stage, &counsel, exchange, "또 안녕").await?;
    stage.world.pass(61); // the wallet's hold is over too: it will be held again, as attempt 2
    stage.responder.then(Step::Fail);
    assert_eq!(stage.say(&counsel, exchange, "또 안녕").await.unwrap_err().code(), Code::Unavailable);
    assert!(stage.heard().await.contains(&format!("failed {exchange} attempt 2: the model is down")));
    Ok(())
}

async fn one_exchange_is_open_at_a_time(stage: Stage) -> anyhow::Result<()> {
    let (counsel, other, exchange) = (stage.opened().await?, stage.opened().await?, Uuid::now_v7());
    let (speak, words) = oneshot::channel();
    stage.responder.then(Step::Wait(words));
    let first = stage.say(&counsel, exchange, "안녕");
    let meanwhile = async {
        while stage.responder.count() == 0 {
            tokio::task::yield_now().await;
        }
        let second = stage.say(&counsel, Uuid::now_v7(), "여보세요").await.unwrap_err();
        assert_eq!(second.code(), Code::ResourceExhausted);
        let same = stage.say(&counsel, exchange, "안녕").await.unwrap_err();
        assert_eq!(same.code(), Code::Unavailable);
        let elsewhere = stage.say(&other, Uuid::now_v7(), "여보세요").await;
        speak.send("기다렸지요?").unwrap();
        elsewhere
    };
    let (first, elsewhere) = tokio::join!(first, meanwhile);
    elsewhere?;
    assert_eq!(first?.counselor_response_message.unwrap().message, "기다렸지요?");
    assert_eq!(stage.talk(&counsel).await?[1..], ["person: 안녕", "counselor: 기다렸지요?"]);
    stage.say(&counsel, Uuid::now_v7(), "여보세요").await?;
    Ok(())
}

async fn an_exchange_that_crashed_makes_way_for_another(stage: Stage) -> anyhow::Result<()> {
    let (counsel, crashed, next) = (stage.opened().await?, Uuid::now_v7(), Uuid::now_v7());
    ask_and_crash(&stage, &counsel, crashed, "안녕").await?;
    assert_eq!(stage.say(&counsel, next, "여보세요").await.unwrap_err().code(), Code::ResourceExhausted);
    stage.world.pass(31);
    stage.say(&counsel, next, "여보세요").await?;
    let heard = stage.heard().await;
    assert!(heard.contains(&format!("failed {crashed} attempt 1: nobody answered in time")), "{heard:?}");
    stage.say(&counsel, crashed, "안녕").await?;
    let talk = ["person: 안녕", "person: 여보세요", "counselor: 답장 1", "counselor: 답장 2"];
    assert_eq!(stage.talk(&counsel).await?[1..], talk);
    Ok(())
}

async fn a_caller_who_hangs_up_is_answered_all_the_same(stage: Stage) -> anyhow::Result<()> {
    let (counsel, exchange) = (stage.opened().await?, Uuid::now_v7());
    let (speak, words) = oneshot::channel();
    stage.responder.then(Step::Wait(words));
    tokio::select! {
        said = stage.say(&counsel, exchange, "안녕") => panic!("{said:?}"),
        () = async { while stage.responder.count() == 0 { tokio::task::yield_now().await } } => (),
    }
    speak.send("여기 있어요.").unwrap();
    while stage.messages(&counsel).await?.len() < 3 {
        tokio::task::yield_now().await;
    }
    let answer = stage.say(&counsel, exchange, "안녕").await?;
    assert_eq!(answer.counselor_response_message.unwrap().message, "여기 있어요.");
    assert_eq!(stage.responder.count(), 1);
    Ok(())
}

async fn a_silent_responder_is_no_reply(stage: Stage) -> anyhow::Result<()> {
    let (counsel, exchange) = (stage.opened().await?, Uuid::now_v7());
    stage.responder.then(Step::Say(" \n"));
    assert_eq!(stage.say(&counsel, exchange, "안녕").await.unwrap_err().code(), Code::Unavailable);
    assert!(stage.heard().await.iter().any(|it| it.starts_with(&format!("failed {exchange} attempt 1"))));
    Ok(())
}

async fn messages_have_1_to_80_characters(stage: Stage) -> anyhow::Result<()> {
    let counsel = stage.opened().await?;
    for bad in ["", " \t\n", &"가".repeat(81)] {
        let refused = stage.say(&counsel, Uuid::now_v7(), bad).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{bad:?}");
        assert_eq!(details(&refused).fields[0].0, "message");
    }
    assert_eq!(stage.messages(&counsel).await?.len(), 1);
    stage.say(&counsel, Uuid::now_v7(), &"👩".repeat(80)).await?;
    Ok(())
}
