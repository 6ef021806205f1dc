//! Tests of opening a counsel: with a greeting, or from a bubble.
use crate::{
    fixture::{Fixture, KIM, LEE},
    responder::Step,
};
use contracts::{
    NO_RESERVATION,
    v1::service::{CreateCounselRequest, FindBubblesRequest, FindCounselByIdRequest, FindCounselorsRequest},
};
use counseling_service::application::ports::NotConfirmed;
use cqrs_core::grpc::{details, header};
use service_edge::testing::by;
use tonic::{Code, Request};
use uuid::Uuid;

service_edge::cases![
    a_counsel_without_a_bubble_starts_with_a_greeting_and_consumes_no_token,
    a_counsel_from_a_bubble_is_one_exchange,
    the_same_exchange_opens_the_same_counsel,
    an_opening_without_a_reply_is_completed_by_a_retry,
    the_same_key_opens_one_counsel,
    a_key_that_has_opened_a_counsel_is_refused_for_another_opening,
    concurrent_openings_do_not_exceed_the_ceiling,
    defect_04_a_bubble_calls_the_responder_only_while_a_token_is_held,
    a_person_opens_at_most_a_hundred_counsels_in_thirty_days,
    an_invalid_opening_is_refused_and_stores_nothing,
];

async fn request(fixture: &Fixture) -> anyhow::Result<CreateCounselRequest> {
    let counselor_id = fixture.counselor().await?;
    Ok(CreateCounselRequest { user_id: KIM.to_string(), counselor_id, ..Default::default() })
}

/// Builds an opening with the second option of the first counsellor's first bubble.
async fn from_bubble(fixture: &Fixture, exchange: Uuid) -> anyhow::Result<(CreateCounselRequest, String, String)> {
    let request = request(fixture).await?;
    let of = FindBubblesRequest { counselor_id: request.counselor_id.clone(), ..Default::default() };
    let bubble = fixture.counselors.clone().find_bubbles(of).await?.into_inner().bubbles.swap_remove(0);
    let request = CreateCounselRequest {
        bubble_id: Some(bubble.id),
        response_option_no: Some(2),
        exchange_id: Some(exchange.to_string()),
        ..request
    };
    Ok((request, bubble.question, bubble.response_option2))
}

async fn a_counsel_without_a_bubble_starts_with_a_greeting_and_consumes_no_token(
    fixture: Fixture,
) -> anyhow::Result<()> {
    let opened = fixture.open(request(&fixture).await?).await?;
    let counsel = opened.counsel.unwrap();
    let greeting = &opened.counsel_messages[..];
    assert!(matches!(greeting, [message] if !message.is_user_message && message.message.starts_with("안녕하세요")));
    assert_eq!(counsel.last_message.as_ref(), Some(&greeting[0].message));
    assert!(counsel.last_chated_at.is_some() && Uuid::try_parse(&counsel.prompt_version_id).is_ok());
    assert!(Uuid::try_parse(&greeting[0].counsel_technique_id).is_ok());
    assert_eq!(counsel.created_at.len(), "2026-01-02T03:04:05.006Z".len(), "times have milliseconds");

    let find = FindCounselByIdRequest { counsel_id: counsel.id.clone() };
    let found = fixture.counsels.clone().find_counsel_by_id(by(KIM, find)).await?.into_inner();
    assert_eq!(found.counsel.as_ref(), Some(&counsel));
    assert_eq!(fixture.messages(&counsel.id).await?, opened.counsel_messages);
    assert_eq!(fixture.responder.count(), 0);
    assert_eq!(fixture.wallets.confirmed(), [], "no token is needed");
    let said = format!("counselor said \"\" in the order of {KIM}");
    assert_eq!(fixture.events().await, [format!("created by {KIM}"), said]);
    Ok(())
}

async fn a_counsel_from_a_bubble_is_one_exchange(fixture: Fixture) -> anyhow::Result<()> {
    let exchange = Uuid::now_v7();
    let (request, question, answer) = from_bubble(&fixture, exchange).await?;
    fixture.responder.then(Step::Say("그랬군요."));
    let opened = fixture.open(request).await?;
    let counsel = opened.counsel.unwrap();
    assert_eq!(counsel.last_message.as_deref(), Some("그랬군요."));
    let talk = [format!("counselor: {question}"), format!("person: {answer}"), "counselor: 그랬군요.".into()];
    assert_eq!(fixture.talk(&counsel.id).await?, talk);
    assert_eq!(fixture.messages(&counsel.id).await?, opened.counsel_messages);
    let asked = fixture.responder.prompts().remove(0);
    assert_eq!((asked.message, asked.history.len(), &asked.history[0].text), (answer.clone(), 1, &question));
    let said = |who: &str| format!("{who} said \"\" in the order of {KIM}");
    let events = [
        format!("created by {KIM}"),
        said("counselor"),
        said("person"),
        said("counselor"),
        format!("replied {exchange}"),
    ];
    assert_eq!(fixture.events().await, events);
    Ok(())
}

async fn the_same_exchange_opens_the_same_counsel(fixture: Fixture) -> anyhow::Result<()> {
    let (request, ..) = from_bubble(&fixture, Uuid::now_v7()).await?;
    let first = fixture.open(request.clone()).await?;
    assert_eq!(fixture.open(request.clone()).await?, first);
    assert_eq!(fixture.responder.count(), 1);
    for other in [
        CreateCounselRequest { response_option_no: Some(1), ..request.clone() },
        CreateCounselRequest { user_id: LEE.to_string(), ..request.clone() },
    ] {
        assert_eq!(fixture.open(other).await.unwrap_err().code(), Code::AlreadyExists);
    }
    // The later of the two finds the other's counsel, with its reply or still waiting for it.
    let (request, ..) = from_bubble(&fixture, Uuid::now_v7()).await?;
    let both = tokio::join!(fixture.open(request.clone()), fixture.open(request.clone()));
    for one in [both.0, both.1] {
        assert!(one.as_ref().map_or_else(|status| status.code() == Code::Unavailable, |_| true), "{one:?}");
    }
    let of_kim = fixture.open(request).await?;
    assert_eq!(fixture.messages(&of_kim.counsel.unwrap().id).await?, of_kim.counsel_messages);
    assert_eq!(fixture.responder.count(), 2);
    Ok(())
}

fn keyed(message: CreateCounselRequest) -> Request<CreateCounselRequest> {
    let mut request = by(message.user_id.clone(), message);
    request.metadata_mut().insert(header::IDEMPOTENCY_KEY, "k-1".parse().unwrap());
    request
}

async fn an_opening_without_a_reply_is_completed_by_a_retry(fixture: Fixture) -> anyhow::Result<()> {
    let exchange = Uuid::now_v7();
    let (request, question, answer) = from_bubble(&fixture, exchange).await?;
    fixture.responder.then(Step::Fail);
    // An idempotency key does not matter here: an exchange can be resumed, a stored response cannot.
    let mut client = fixture.counsels.clone();
    assert_eq!(client.create_counsel(keyed(request.clone())).await.unwrap_err().code(), Code::Unavailable);
    fixture.responder.then(Step::Say("이제 왔어요."));
    let opened = client.create_counsel(keyed(request)).await?.into_inner();
    let talk: Vec<_> = opened.counsel_messages.iter().map(|message| message.message.clone()).collect();
    assert_eq!(talk, [question, answer, "이제 왔어요.".into()]);
    let events = fixture.events().await;
    assert_eq!(
        events[3..],
        [
            format!("failed {exchange} attempt 1: the model is down"),
            format!("counselor said \"\" in the order of {KIM}"),
            format!("replied {exchange}"),
        ]
    );
    Ok(())
}

async fn the_same_key_opens_one_counsel(fixture: Fixture) -> anyhow::Result<()> {
    let request = request(&fixture).await?;
    let first = fixture.counsels.clone().create_counsel(keyed(request.clone())).await?.into_inner();
    let again = fixture.counsels.clone().create_counsel(keyed(request.clone())).await?.into_inner();
    assert_eq!(first, again);
    let lees = CreateCounselRequest { user_id: LEE.to_string(), ..request };
    let lees = fixture.counsels.clone().create_counsel(keyed(lees)).await?.into_inner();
    assert_ne!(lees.counsel.unwrap().id, first.counsel.unwrap().id);
    Ok(())
}

async fn a_key_that_has_opened_a_counsel_is_refused_for_another_opening(fixture: Fixture) -> anyhow::Result<()> {
    let bubble_first = from_bubble(&fixture, Uuid::now_v7()).await?.0;
    let greeted =
        |of: &CreateCounselRequest| CreateCounselRequest { bubble_id: None, response_option_no: None, ..of.clone() };
    let reused = |refused: tonic::Status, reason: &str| {
        assert_eq!((refused.code(), details(&refused).reason.as_deref()), (Code::AlreadyExists, Some(reason)));
    };
    let mut client = fixture.counsels.clone();
    let first = fixture.open(bubble_first.clone()).await?;
    reused(fixture.open(greeted(&bubble_first)).await.unwrap_err(), "OPENING_REUSED");
    let other = CreateCounselRequest { response_option_no: Some(1), ..bubble_first.clone() };
    reused(fixture.open(other).await.unwrap_err(), "EXCHANGE_REUSED");
    let version = Some(Uuid::now_v7().to_string());
    let other = CreateCounselRequest { prompt_version_id: version, ..bubble_first.clone() };
    reused(fixture.open(other).await.unwrap_err(), "EXCHANGE_REUSED");
    assert_eq!(fixture.open(bubble_first).await?, first);

    let bubble_second = from_bubble(&fixture, Uuid::now_v7()).await?.0;
    let first = client.create_counsel(keyed(greeted(&bubble_second))).await?.into_inner();
    reused(fixture.open(bubble_second.clone()).await.unwrap_err(), "OPENING_REUSED");
    assert_eq!(client.create_counsel(keyed(greeted(&bubble_second))).await?.into_inner(), first);
    assert_eq!(fixture.events().await.iter().filter(|event| event.starts_with("created")).count(), 2);
    Ok(())
}

async fn concurrent_openings_do_not_exceed_the_ceiling(fixture: Fixture) -> anyhow::Result<()> {
    for _ in 0..95 {
        fixture.opened().await?;
    }
    let mut opened = 95;
    // A conflict with the others leads to a refusal after some tries, and never to another counsel.
    for _ in 0..4 {
        let round = futures_util::future::join_all((0..10).map(|_| fixture.opened())).await;
        opened += round.iter().filter(|outcome| outcome.is_ok()).count();
        for refused in round.into_iter().filter_map(Result::err) {
            assert!(matches!(refused.code(), Code::Aborted | Code::ResourceExhausted), "{refused:?}");
        }
    }
    assert_eq!(opened, 100);
    Ok(())
}

async fn an_invalid_opening_is_refused_and_stores_nothing(fixture: Fixture) -> anyhow::Result<()> {
    let (request, ..) = from_bubble(&fixture, Uuid::now_v7()).await?;
    let all = fixture.counselors.clone().find_counselors(FindCounselorsRequest::default()).await?.into_inner();
    let (nobody, other) = (Some(Uuid::now_v7().to_string()), all.counselors[1].id.clone());
    let with = |change: fn(&mut CreateCounselRequest)| {
        let mut request = request.clone();
        change(&mut request);
        request
    };
    for (request, code) in [
        (CreateCounselRequest { counselor_id: nobody.clone().unwrap(), ..request.clone() }, Code::NotFound),
        (CreateCounselRequest { counselor_id: other, ..request.clone() }, Code::NotFound),
        (CreateCounselRequest { bubble_id: nobody.clone(), ..request.clone() }, Code::NotFound),
        (CreateCounselRequest { prompt_version_id: nobody, ..request.clone() }, Code::NotFound),
        (with(|request| request.user_id = "kim".into()), Code::InvalidArgument),
        (with(|request| request.response_option_no = Some(3)), Code::InvalidArgument),
        (with(|request| request.response_option_no = None), Code::InvalidArgument),
        (with(|request| request.bubble_id = None), Code::InvalidArgument),
        (with(|request| request.exchange_id = Some("e".into())), Code::InvalidArgument),
    ] {
        let refused = fixture.open(request.clone()).await.unwrap_err();
        assert_eq!(refused.code(), code, "{request:?}: {refused}");
    }
    let for_another = fixture.counsels.clone().create_counsel(by(LEE, request)).await.unwrap_err();
    assert_eq!(for_another.code(), Code::PermissionDenied);
    assert_eq!((fixture.responder.count(), fixture.events().await.len()), (0, 0));
    Ok(())
}

async fn defect_04_a_bubble_calls_the_responder_only_while_a_token_is_held(fixture: Fixture) -> anyhow::Result<()> {
    let (request, ..) = from_bubble(&fixture, Uuid::now_v7()).await?;
    fixture.wallets.refuse(NotConfirmed::NoHold);
    for request in [CreateCounselRequest { exchange_id: None, ..request.clone() }, request] {
        let refused = fixture.open(request).await.unwrap_err();
        assert_eq!(refused.code(), Code::FailedPrecondition);
        assert_eq!(details(&refused).reason.as_deref(), Some(NO_RESERVATION));
    }
    assert_eq!((fixture.responder.count(), fixture.events().await.len()), (0, 0));
    Ok(())
}

async fn a_person_opens_at_most_a_hundred_counsels_in_thirty_days(fixture: Fixture) -> anyhow::Result<()> {
    for _ in 0..100 {
        fixture.opened().await?;
    }
    fixture.settle().await;
    let refused = fixture.opened().await.unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted);
    assert_eq!(details(&refused).reason.as_deref(), Some("TOO_MANY_COUNSELS"));
    let lees = CreateCounselRequest { user_id: LEE.to_string(), ..request(&fixture).await? };
    fixture.open(lees).await?;
    fixture.environment.pass(30 * 24 * 3600);
    fixture.opened().await?;
    Ok(())
}
