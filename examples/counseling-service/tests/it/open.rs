//! Opening a counsel: with a greeting, or from a bubble.
use crate::{
    cases,
    responder::Step,
    stage::{KIM, LEE, Stage, by},
};
use contracts::v1::service::{CreateCounselRequest, FindBubblesRequest, FindCounselByIdRequest, FindCounselorsRequest};
use cqrs_core::grpc::header;
use tonic::{Code, Request};
use uuid::Uuid;

cases![
    without_a_bubble_the_counsellor_greets_and_it_costs_nothing,
    from_a_bubble_it_is_one_exchange,
    the_same_exchange_opens_the_same_counsel,
    an_opening_without_a_reply_can_be_finished,
    the_same_key_opens_one_counsel,
    what_cannot_be_opened,
];

async fn request(stage: &Stage) -> anyhow::Result<CreateCounselRequest> {
    let counselor_id = stage.counselor().await?;
    Ok(CreateCounselRequest { user_id: KIM.to_string(), counselor_id, ..Default::default() })
}

/// The first bubble of the first counsellor, with its second option.
async fn from_bubble(stage: &Stage, exchange: Uuid) -> anyhow::Result<(CreateCounselRequest, String, String)> {
    let request = request(stage).await?;
    let of = FindBubblesRequest { counselor_id: request.counselor_id.clone(), ..Default::default() };
    let bubble = stage.counselors.clone().find_bubbles(of).await?.into_inner().bubbles.swap_remove(0);
    let request = CreateCounselRequest {
        bubble_id: Some(bubble.id),
        response_option_no: Some(2),
        exchange_id: Some(exchange.to_string()),
        ..request
    };
    Ok((request, bubble.question, bubble.response_option2))
}

async fn without_a_bubble_the_counsellor_greets_and_it_costs_nothing(stage: Stage) -> anyhow::Result<()> {
    let opened = stage.open(request(&stage).await?).await?;
    let counsel = opened.counsel.unwrap();
    let greeting = &opened.counsel_messages[..];
    assert!(matches!(greeting, [it] if !it.is_user_message && it.message.starts_with("안녕하세요")));
    assert_eq!(counsel.last_message.as_ref(), Some(&greeting[0].message));
    assert!(counsel.last_chated_at.is_some() && Uuid::try_parse(&counsel.prompt_version_id).is_ok());
    assert!(Uuid::try_parse(&greeting[0].counsel_technique_id).is_ok());

    let find = FindCounselByIdRequest { counsel_id: counsel.id.clone() };
    let found = stage.counsels.clone().find_counsel_by_id(by(KIM, find)).await?.into_inner();
    assert_eq!(found.counsel.as_ref(), Some(&counsel));
    assert_eq!(stage.messages(&counsel.id).await?, opened.counsel_messages);
    assert_eq!(stage.responder.count(), 0);
    let heard = [format!("created by {KIM}"), format!("counselor said {}", greeting[0].message)];
    assert_eq!(stage.heard().await, heard);
    Ok(())
}

async fn from_a_bubble_it_is_one_exchange(stage: Stage) -> anyhow::Result<()> {
    let exchange = Uuid::now_v7();
    let (request, question, answer) = from_bubble(&stage, exchange).await?;
    stage.responder.then(Step::Say("그랬군요."));
    let opened = stage.open(request).await?;
    let counsel = opened.counsel.unwrap();
    assert_eq!(counsel.last_message.as_deref(), Some("그랬군요."));
    let talk = [format!("counselor: {question}"), format!("person: {answer}"), "counselor: 그랬군요.".into()];
    assert_eq!(stage.talk(&counsel.id).await?, talk);
    assert_eq!(stage.messages(&counsel.id).await?, opened.counsel_messages);
    let asked = stage.responder.asked().remove(0);
    assert_eq!((asked.message, asked.history.len(), &asked.history[0].text), (answer.clone(), 1, &question));
    let heard = [
        format!("created by {KIM}"),
        format!("counselor said {question}"),
        format!("person said {answer}"),
        "counselor said 그랬군요.".into(),
        format!("replied {exchange}"),
    ];
    assert_eq!(stage.heard().await, heard);
    Ok(())
}

async fn the_same_exchange_opens_the_same_counsel(stage: Stage) -> anyhow::Result<()> {
    let (request, ..) = from_bubble(&stage, Uuid::now_v7()).await?;
    let first = stage.open(request.clone()).await?;
    assert_eq!(stage.open(request.clone()).await?, first);
    assert_eq!(stage.responder.count(), 1);
    for other in [
        CreateCounselRequest { response_option_no: Some(1), ..request.clone() },
        CreateCounselRequest { user_id: LEE.to_string(), ..request.clone() },
    ] {
        assert_eq!(stage.open(other).await.unwrap_err().code(), Code::AlreadyExists);
    }
    // One of the two is later; then the other's counsel is there, answered or being answered.
    let (request, ..) = from_bubble(&stage, Uuid::now_v7()).await?;
    let both = tokio::join!(stage.open(request.clone()), stage.open(request.clone()));
    for one in [both.0, both.1] {
        assert!(one.as_ref().map_or_else(|it| it.code() == Code::Unavailable, |_| true), "{one:?}");
    }
    let of_kim = stage.open(request).await?;
    assert_eq!(stage.messages(&of_kim.counsel.unwrap().id).await?, of_kim.counsel_messages);
    assert_eq!(stage.responder.count(), 2);
    Ok(())
}

fn keyed(message: CreateCounselRequest) -> Request<CreateCounselRequest> {
    let mut request = by(message.user_id.parse().unwrap(), message);
    request.metadata_mut().insert(header::KEY, "k-1".parse().unwrap());
    request
}

async fn an_opening_without_a_reply_can_be_finished(stage: Stage) -> anyhow::Result<()> {
    let exchange = Uuid::now_v7();
    let (request, question, answer) = from_bubble(&stage, exchange).await?;
    stage.responder.then(Step::Fail);
    // A key along with it changes nothing: an exchange can be resumed, a stored answer cannot.
    let mut client = stage.counsels.clone();
    assert_eq!(client.create_counsel(keyed(request.clone())).await.unwrap_err().code(), Code::Unavailable);
    stage.responder.then(Step::Say("이제 왔어요."));
    let opened = client.create_counsel(keyed(request)).await?.into_inner();
    let talk: Vec<_> = opened.counsel_messages.iter().map(|it| it.message.clone()).collect();
    assert_eq!(talk, [question, answer, "이제 왔어요.".into()]);
    let heard = stage.heard().await;
    assert_eq!(
        heard[3..],
        [
            format!("failed {exchange} attempt 1: the model is down"),
            "counselor said 이제 왔어요.".into(),
            format!("replied {exchange}"),
        ]
    );
    Ok(())
}

async fn the_same_key_opens_one_counsel(stage: Stage) -> anyhow::Result<()> {
    let request = request(&stage).await?;
    let first = stage.counsels.clone().create_counsel(keyed(request.clone())).await?.into_inner();
    let again = stage.counsels.clone().create_counsel(keyed(request.clone())).await?.into_inner();
    assert_eq!(first, again);
    let lees = CreateCounselRequest { user_id: LEE.to_string(), ..request };
    let lees = stage.counsels.clone().create_counsel(keyed(lees)).await?.into_inner();
    assert_ne!(lees.counsel.unwrap().id, first.counsel.unwrap().id);
    Ok(())
}

async fn what_cannot_be_opened(stage: Stage) -> anyhow::Result<()> {
    let (request, ..) = from_bubble(&stage, Uuid::now_v7()).await?;
    let all = stage.counselors.clone().find_counselors(FindCounselorsRequest::default()).await?.into_inner();
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
        (with(|it| it.user_id = "kim".into()), Code::InvalidArgument),
        (with(|it| it.response_option_no = Some(3)), Code::InvalidArgument),
        (with(|it| it.response_option_no = None), Code::InvalidArgument),
        (with(|it| it.bubble_id = None), Code::InvalidArgument),
        (with(|it| it.exchange_id = Some("e".into())), Code::InvalidArgument),
    ] {
        let refused = stage.open(request.clone()).await.unwrap_err();
        assert_eq!(refused.code(), code, "{request:?}: {refused}");
    }
    let for_another = stage.counsels.clone().create_counsel(by(LEE, request)).await.unwrap_err();
    assert_eq!(for_another.code(), Code::PermissionDenied);
    assert_eq!((stage.responder.count(), stage.heard().await.len()), (0, 0));
    Ok(())
}
