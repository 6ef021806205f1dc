//! Tests of access: another person cannot see a counsel, and only its owner reacts to messages.
use crate::fixture::{Fixture, KIM, LEE};
use contracts::{
    AUTHORITY_METADATA, TOKEN_METADATA, USER_METADATA,
    v1::{
        model::CounselMessageReaction::{Dislike, Like, Unspecified},
        service::{
            CreateCounselRequest, CreateMessageRequest, FindCounselByIdRequest, FindCounselsRequest,
            FindMessagesRequest, ReactMessageRequest, counsel_service_client::CounselServiceClient,
        },
    },
};
use cqrs_core::grpc::details;
use service_auth::{CallSigner, Key, Proof};
use service_edge::testing::{by, proof};
use tonic::{Code, GrpcMethod, Request, service::Interceptor};
use uuid::Uuid;

service_edge::cases![
    defect_01_another_persons_counsel_is_not_found,
    a_call_without_a_person_is_unauthenticated,
    forged_identity_headers_are_refused,
    defect_10_a_reply_accepts_one_reaction,
    defect_10_a_persons_own_message_accepts_no_reaction
];

/// Calls each method that concerns a person on behalf of `caller`, and expects `code`.
async fn each_returns(fixture: &Fixture, caller: Option<Uuid>, code: Code) -> anyhow::Result<()> {
    let counsel_id = fixture.opened().await?;
    let message_id = fixture.messages(&counsel_id).await?.remove(0).id;
    let say = CreateMessageRequest { counsel_id: counsel_id.clone(), message: "안녕".into(), ..Default::default() };
    let read = FindMessagesRequest { counsel_id: counsel_id.clone(), ..Default::default() };
    let react = ReactMessageRequest { message_id, reaction: Like.into() };
    let mut client = fixture.counsels.clone();
    let answers = [
        client.create_message(wrap(caller, say)).await.map(drop),
        client.find_messages(wrap(caller, read)).await.map(drop),
        client.react_message(wrap(caller, react)).await.map(drop),
        client.find_counsel_by_id(wrap(caller, FindCounselByIdRequest { counsel_id })).await.map(drop),
    ];
    for answer in answers {
        assert_eq!(answer.unwrap_err().code(), code);
    }
    assert_eq!(fixture.responder.count(), 0);
    Ok(())
}
fn wrap<T>(caller: Option<Uuid>, message: T) -> Request<T> {
    match caller {
        Some(user) => by(user, message),
        None => Request::new(message),
    }
}

async fn defect_01_another_persons_counsel_is_not_found(fixture: Fixture) -> anyhow::Result<()> {
    each_returns(&fixture, Some(LEE), Code::NotFound).await?;
    let list = FindCounselsRequest { user_id: KIM.to_string(), ..Default::default() };
    let refused = fixture.counsels.clone().find_counsels(by(LEE, list)).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
    let there = FindCounselByIdRequest { counsel_id: fixture.opened().await? };
    let there = fixture.counsels.clone().find_counsel_by_id(by(LEE, there)).await.unwrap_err();
    let not_there = FindCounselByIdRequest { counsel_id: Uuid::nil().to_string() };
    let not_there = fixture.counsels.clone().find_counsel_by_id(by(LEE, not_there)).await.unwrap_err();
    let text =
        |message: &str| message.split(' ').filter(|word| Uuid::try_parse(word).is_err()).collect::<Vec<_>>().join(" ");
    assert_eq!(text(there.message()), text(not_there.message()));
    Ok(())
}

async fn a_call_without_a_person_is_unauthenticated(fixture: Fixture) -> anyhow::Result<()> {
    each_returns(&fixture, None, Code::Unauthenticated).await?;
    Ok(())
}

/// Simulates a caller that bypasses the gateway.
async fn forged_identity_headers_are_refused(fixture: Fixture) -> anyhow::Result<()> {
    let counsel_id = fixture.opened().await?;
    let kim = KIM.to_string();
    let (other_secret, elsewhere) = (Proof::signed(Key::new("k".repeat(32)).unwrap()), proof());
    let mut tokens = Vec::new();
    for (audience, proof) in
        [(service_auth::COUNSELING_SERVICE, &other_secret), (service_auth::USER_SERVICE, &elsewhere)]
    {
        let mut call = by(KIM, ());
        call.extensions_mut().insert(GrpcMethod::new("com.hearlers.v1.service.CounselService", "FindCounselById"));
        let signed = CallSigner::new(service_auth::GATEWAY, audience, proof).call(call)?;
        tokens.push(signed.metadata().get(TOKEN_METADATA).unwrap().to_str()?.to_owned());
    }
    for (headers, reason) in [
        (vec![(USER_METADATA, kim.as_str())], "IDENTITY_NOT_SIGNED"),
        (vec![(USER_METADATA, "kim")], "IDENTITY_UNREADABLE"),
        (vec![(USER_METADATA, &kim), (AUTHORITY_METADATA, "AUTHORITY_ADMIN")], "IDENTITY_NOT_SIGNED"),
        (vec![(USER_METADATA, &kim), (TOKEN_METADATA, &tokens[0])], "IDENTITY_INVALID"),
        (vec![(USER_METADATA, &kim), (TOKEN_METADATA, &tokens[1])], "IDENTITY_INVALID"),
        (vec![], "IDENTITY_MISSING"),
    ] {
        let forge = |mut request: Request<()>| {
            for (name, value) in &headers {
                request.metadata_mut().insert(*name, value.parse().unwrap());
            }
            Ok(request)
        };
        let mut stranger = CounselServiceClient::with_interceptor(fixture.channel.clone(), forge);
        let find = FindCounselByIdRequest { counsel_id: counsel_id.clone() };
        let refused = stranger.find_counsel_by_id(find).await.unwrap_err();
        assert_eq!(refused.code(), Code::Unauthenticated, "{headers:?}");
        assert_eq!(details(&refused).reason.as_deref(), Some(reason), "{headers:?}");
        // The same holds where the request names the person.
        let list = FindCounselsRequest { user_id: kim.clone(), ..Default::default() };
        assert_eq!(stranger.find_counsels(list).await.unwrap_err().code(), Code::Unauthenticated);
        let counselor_id = fixture.counselor().await?;
        let open = CreateCounselRequest { user_id: kim.clone(), counselor_id, ..Default::default() };
        assert_eq!(stranger.create_counsel(open).await.unwrap_err().code(), Code::Unauthenticated);
    }
    Ok(())
}

async fn defect_10_a_reply_accepts_one_reaction(fixture: Fixture) -> anyhow::Result<()> {
    let counsel = fixture.opened().await?;
    let message_id = fixture.messages(&counsel).await?.remove(0).id;
    let react = |reaction: i32| by(KIM, ReactMessageRequest { message_id: message_id.clone(), reaction });
    let mut client = fixture.counsels.clone();
    for nothing in [Unspecified.into(), 7] {
        let refused = client.react_message(react(nothing)).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument);
    }
    let liked = client.react_message(react(Like.into())).await?.into_inner().counsel_message.unwrap();
    assert!(liked.reaction() == Like && liked.reacted_at.as_ref() == Some(&liked.updated_at));
    for again in [Like, Dislike] {
        assert_eq!(client.react_message(react(again.into())).await.unwrap_err().code(), Code::AlreadyExists);
    }
    assert_eq!(fixture.messages(&counsel).await?, [liked]);
    Ok(())
}

async fn defect_10_a_persons_own_message_accepts_no_reaction(fixture: Fixture) -> anyhow::Result<()> {
    let counsel = fixture.opened().await?;
    let own = fixture.send(&counsel, Uuid::now_v7(), "안녕").await?.created_counsel_message.unwrap();
    let mut client = fixture.counsels.clone();
    let react = |message_id: String| by(KIM, ReactMessageRequest { message_id, reaction: Dislike.into() });
    assert_eq!(client.react_message(react(own.id)).await.unwrap_err().code(), Code::FailedPrecondition);
    assert_eq!(client.react_message(react(Uuid::now_v7().to_string())).await.unwrap_err().code(), Code::NotFound);
    Ok(())
}
