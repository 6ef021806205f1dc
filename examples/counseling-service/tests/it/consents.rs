//! Tests of consents: without them no message is processed, and a withdrawal holds at once.
use crate::{
    fixture::{Fixture, KIM, LEE},
    responder::Step,
};
use contracts::{
    CONSENT_REQUIRED, CONSENT_TEXT_VERSION,
    v1::{
        model::{Consent, ConsentKind},
        service::{
            CreateCounselRequest, FindBubblesRequest, FindConsentsRequest, GiveConsentRequest, WithdrawConsentRequest,
        },
    },
};
use cqrs_core::{Position, grpc::details, storage::ReadLimit, testing::EnvironmentLayer};
use service_edge::testing::by;
use std::time::Duration;
use tokio::sync::oneshot;
use tonic::{Code, Status};
use uuid::Uuid;

service_edge::cases![
    a_consent_is_given_listed_and_withdrawn,
    an_invalid_consent_is_refused_with_its_field,
    a_message_needs_a_consent_in_force,
    a_bubble_needs_a_consent_and_a_greeting_does_not,
    a_withdrawal_stops_a_reply_that_is_being_composed,
    a_birthday_is_not_stored,
];

const PARK: Uuid = Uuid::from_u128(0x0198_c0de_0000_7000_8000_0000_0000_0003);

async fn withdraw(fixture: &Fixture, person: Uuid) -> Result<Consent, Status> {
    let request = WithdrawConsentRequest { kind: ConsentKind::SensitiveData.into() };
    let withdrawn = fixture.counsels.clone().withdraw_consent(by(person, request)).await?;
    Ok(withdrawn.into_inner().consent.unwrap_or_default())
}
async fn consents(fixture: &Fixture, person: Uuid) -> Result<Vec<Consent>, Status> {
    let found = fixture.counsels.clone().find_consents(by(person, FindConsentsRequest {})).await?;
    Ok(found.into_inner().consents)
}
fn refused_for_consent(status: &Status) {
    assert_eq!(status.code(), Code::FailedPrecondition, "{status:?}");
    assert_eq!(details(status).reason.as_deref(), Some(CONSENT_REQUIRED));
}

async fn a_consent_is_given_listed_and_withdrawn(fixture: Fixture) -> anyhow::Result<()> {
    assert_eq!(consents(&fixture, PARK).await?, []);
    assert_eq!(withdraw(&fixture, PARK).await.unwrap_err().code(), Code::NotFound);
    let given = fixture.consent(PARK, ConsentKind::SensitiveData).await?;
    assert!(given.kind() == ConsentKind::SensitiveData && given.text_version == CONSENT_TEXT_VERSION);
    assert!(given.withdrawn_at.is_none() && given.given_at.ends_with('Z'));
    fixture.environment.pass(60);
    assert_eq!(fixture.consent(PARK, ConsentKind::SensitiveData).await?, given, "it is in force already");
    let model = fixture.consent(PARK, ConsentKind::ForeignModel).await?;
    assert_eq!(consents(&fixture, PARK).await?, [given.clone(), model.clone()]);

    let withdrawn = withdraw(&fixture, PARK).await?;
    assert!(withdrawn.withdrawn_at.is_some());
    fixture.environment.pass(60);
    assert_eq!(withdraw(&fixture, PARK).await?, withdrawn);
    assert_eq!(consents(&fixture, PARK).await?, [withdrawn, model]);
    let again = fixture.consent(PARK, ConsentKind::SensitiveData).await?;
    assert!(again.withdrawn_at.is_none() && again.given_at > given.given_at);
    // Another person's consents are their own.
    assert_eq!(consents(&fixture, LEE).await?.len(), 1);
    Ok(())
}

async fn an_invalid_consent_is_refused_with_its_field(fixture: Fixture) -> anyhow::Result<()> {
    let valid = GiveConsentRequest {
        kind: ConsentKind::SensitiveData.into(),
        text_version: CONSENT_TEXT_VERSION.into(),
        birthday: "1990-01-01".into(),
    };
    let child = (fixture.environment.now() - Duration::from_secs(13 * 365 * 24 * 3600)).format("%Y-%m-%d").to_string();
    for (request, code, field) in [
        (GiveConsentRequest { kind: 0, ..valid.clone() }, Code::InvalidArgument, "kind"),
        (GiveConsentRequest { kind: 7, ..valid.clone() }, Code::InvalidArgument, "kind"),
        (GiveConsentRequest { text_version: "0".into(), ..valid.clone() }, Code::InvalidArgument, "text_version"),
        (GiveConsentRequest { birthday: "어제".into(), ..valid.clone() }, Code::InvalidArgument, "birthday"),
        (GiveConsentRequest { birthday: "2999-01-01".into(), ..valid.clone() }, Code::InvalidArgument, "birthday"),
        (GiveConsentRequest { birthday: child, ..valid.clone() }, Code::FailedPrecondition, "birthday"),
    ] {
        let refused = fixture.counsels.clone().give_consent(by(PARK, request.clone())).await.unwrap_err();
        assert_eq!((refused.code(), details(&refused).fields[0].0.as_str()), (code, field), "{request:?}");
    }
    assert_eq!(consents(&fixture, PARK).await?, []);
    Ok(())
}

async fn a_message_needs_a_consent_in_force(fixture: Fixture) -> anyhow::Result<()> {
    let (counsel, exchange) = (fixture.opened().await?, Uuid::now_v7());
    let replied = fixture.send(&counsel, exchange, "안녕").await?;
    withdraw(&fixture, KIM).await?;
    refused_for_consent(&fixture.send(&counsel, Uuid::now_v7(), "여보세요").await.unwrap_err());
    assert_eq!((fixture.messages(&counsel).await?.len(), fixture.responder.count()), (3, 1));
    assert_eq!(fixture.send(&counsel, exchange, "안녕").await?, replied, "a stored reply is read, not processed");
    fixture.consent(KIM, ConsentKind::SensitiveData).await?;
    fixture.send(&counsel, Uuid::now_v7(), "여보세요").await?;
    Ok(())
}

async fn a_bubble_needs_a_consent_and_a_greeting_does_not(fixture: Fixture) -> anyhow::Result<()> {
    let counselor_id = fixture.counselor().await?;
    let of = FindBubblesRequest { counselor_id: counselor_id.clone(), ..Default::default() };
    let bubble = fixture.counselors.clone().find_bubbles(of).await?.into_inner().bubbles.swap_remove(0);
    let greeting = CreateCounselRequest { user_id: PARK.to_string(), counselor_id, ..Default::default() };
    let from_bubble =
        CreateCounselRequest { bubble_id: Some(bubble.id), response_option_no: Some(1), ..greeting.clone() };
    refused_for_consent(&fixture.open(from_bubble.clone()).await.unwrap_err());
    assert_eq!((fixture.responder.count(), fixture.events().await.len()), (0, 0));
    fixture.open(greeting).await?;
    fixture.consent(PARK, ConsentKind::SensitiveData).await?;
    fixture.open(from_bubble).await?;
    Ok(())
}

async fn a_withdrawal_stops_a_reply_that_is_being_composed(fixture: Fixture) -> anyhow::Result<()> {
    let (counsel, exchange) = (fixture.opened().await?, Uuid::now_v7());
    let (speak, words) = oneshot::channel();
    fixture.responder.then(Step::Wait(words));
    let withdrawal = async {
        while fixture.responder.count() == 0 {
            tokio::task::yield_now().await;
        }
        let withdrawn = withdraw(&fixture, KIM).await;
        speak.send("그랬군요.").unwrap();
        withdrawn
    };
    let (sent, withdrawn) = tokio::join!(fixture.send(&counsel, exchange, "안녕"), withdrawal);
    withdrawn?;
    refused_for_consent(&sent.unwrap_err());
    assert_eq!(fixture.talk(&counsel).await?[1..], ["person: 안녕"], "the reply is not stored");
    assert_eq!(fixture.events().await.last(), Some(&format!("failed {exchange} attempt 1: a consent was withdrawn")));
    Ok(())
}

async fn a_birthday_is_not_stored(fixture: Fixture) -> anyhow::Result<()> {
    fixture.consent(PARK, ConsentKind::SensitiveData).await?;
    let storage = fixture.app.storage();
    let log = storage.log(Position(0), storage.high_water_mark().await?, ReadLimit::entries(10_000)).await?;
    let given: Vec<_> = log.iter().filter(|entry| entry.stream.starts_with("consent")).collect();
    assert!(given.len() >= 3, "the consents are in the log");
    for entry in given {
        assert!(!String::from_utf8_lossy(&entry.payload).contains("1990-01-01"), "{}", entry.stream);
    }
    Ok(())
}
