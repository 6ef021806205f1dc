//! Tests of the hold of a token: no exchange starts or resumes without one, and the wallet alone counts the attempts.
use crate::{
    fixture::{Fixture, KIM, LEE},
    responder::Step,
};
use contracts::{
    NO_RESERVATION,
    v1::service::{
        ConfirmReservationRequest, ConfirmReservationResponse, CreateMessageRequest, ReleaseTokensRequest,
        ReleaseTokensResponse,
        user_service_server::{UserService, UserServiceServer},
    },
};
use counseling_service::{
    Wallets,
    application::ports::{Hold, NotConfirmed, Reservations},
};
use cqrs_core::{grpc::details, net::Listener};
use service_auth::{AuthInterceptor, Guarded, Identity, USER_SERVICE};
use service_edge::testing::{by, proof};
use std::{net::SocketAddr, sync::Arc};
use test_support::Trials;
use tonic::{Code, Request, Response, Status};
use uuid::Uuid;

service_edge::cases![
    an_exchange_without_a_hold_is_refused_and_stores_nothing,
    nothing_is_stored_while_the_user_service_is_away,
    a_stored_exchange_resumes_only_while_a_token_is_held,
    a_stored_reply_is_returned_without_a_hold,
    the_attempts_are_those_of_the_wallet,
    a_hold_of_another_attempt_is_refused,
    a_message_of_the_original_takes_over_the_open_reservation,
    a_refused_message_of_the_original_releases_its_token,
];

fn no_hold(status: &Status) {
    assert_eq!(status.code(), Code::FailedPrecondition, "{status:?}");
    assert_eq!(details(status).reason.as_deref(), Some(NO_RESERVATION));
}
fn away() -> NotConfirmed {
    NotConfirmed::Unavailable("it is down".into())
}

async fn an_exchange_without_a_hold_is_refused_and_stores_nothing(fixture: Fixture) -> anyhow::Result<()> {
    let counsel = fixture.opened().await?;
    let events = fixture.events().await;
    fixture.wallets.refuse(NotConfirmed::NoHold);
    no_hold(&fixture.send(&counsel, Uuid::now_v7(), "안녕").await.unwrap_err());
    assert_eq!((fixture.messages(&counsel).await?.len(), fixture.responder.count()), (1, 0));
    assert_eq!(fixture.events().await, events);
    Ok(())
}

async fn nothing_is_stored_while_the_user_service_is_away(fixture: Fixture) -> anyhow::Result<()> {
    let counsel = fixture.opened().await?;
    fixture.wallets.refuse(away());
    let refused = fixture.send(&counsel, Uuid::now_v7(), "안녕").await.unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable);
    assert!(!refused.message().contains("down"), "the cause appears only in the log");
    assert_eq!((fixture.messages(&counsel).await?.len(), fixture.responder.count()), (1, 0));
    Ok(())
}

async fn a_stored_exchange_resumes_only_while_a_token_is_held(fixture: Fixture) -> anyhow::Result<()> {
    let (counsel, exchange) = (fixture.opened().await?, Uuid::now_v7());
    fixture.responder.then(Step::Fail);
    fixture.send(&counsel, exchange, "안녕").await.unwrap_err();
    fixture.wallets.refuse(NotConfirmed::NoHold);
    no_hold(&fixture.send(&counsel, exchange, "안녕").await.unwrap_err());
    fixture.wallets.refuse(away());
    assert_eq!(fixture.send(&counsel, exchange, "안녕").await.unwrap_err().code(), Code::Unavailable);
    assert_eq!(fixture.responder.count(), 1);
    Ok(())
}

async fn a_stored_reply_is_returned_without_a_hold(fixture: Fixture) -> anyhow::Result<()> {
    let (counsel, exchange) = (fixture.opened().await?, Uuid::now_v7());
    let replied = fixture.send(&counsel, exchange, "안녕").await?;
    for refusal in [NotConfirmed::NoHold, away()] {
        fixture.wallets.refuse(refusal);
        assert_eq!(fixture.send(&counsel, exchange, "안녕").await?, replied);
    }
    Ok(())
}

/// A token was reserved at 0 s, at 59 s while it was still held, and at 100 s. Two clocks would give two numbers.
async fn the_attempts_are_those_of_the_wallet(fixture: Fixture) -> anyhow::Result<()> {
    let (counsel, exchange) = (fixture.opened().await?, Uuid::now_v7());
    for (seconds, attempt) in [(0, 1), (59, 1), (41, 2)] {
        fixture.environment.pass(seconds);
        fixture.wallets.hold(exchange, attempt);
        fixture.responder.then(Step::Fail);
        fixture.send(&counsel, exchange, "안녕").await.unwrap_err();
    }
    let events = fixture.events().await;
    let failed: Vec<_> = events.iter().filter(|event| event.starts_with("failed")).collect();
    let attempt = |number| format!("failed {exchange} attempt {number}: the model is down");
    assert_eq!(failed, [&attempt(1), &attempt(1), &attempt(2)]);
    Ok(())
}

async fn a_hold_of_another_attempt_is_refused(fixture: Fixture) -> anyhow::Result<()> {
    let (counsel_id, exchange) = (fixture.opened().await?, Uuid::now_v7());
    fixture.wallets.hold(exchange, 2);
    let request = |attempt| {
        let (counsel_id, message) = (counsel_id.clone(), "안녕".to_owned());
        by(KIM, CreateMessageRequest { counsel_id, message, exchange_id: Some(exchange.to_string()), attempt })
    };
    let mut client = fixture.counsels.clone();
    no_hold(&client.create_message(request(Some(1))).await.unwrap_err());
    let refused = client.create_message(request(Some(0))).await.unwrap_err();
    assert_eq!((refused.code(), details(&refused).fields[0].0.as_str()), (Code::InvalidArgument, "attempt"));
    client.create_message(request(Some(2))).await?;
    Ok(())
}

fn of_the_original(counsel_id: &str) -> CreateMessageRequest {
    CreateMessageRequest { counsel_id: counsel_id.into(), message: "안녕".into(), ..Default::default() }
}

async fn a_message_of_the_original_takes_over_the_open_reservation(fixture: Fixture) -> anyhow::Result<()> {
    let counsel = fixture.opened().await?;
    fixture.counsels.clone().create_message(by(KIM, of_the_original(&counsel))).await?;
    assert_eq!(fixture.wallets.confirmed(), [None]);
    assert_eq!(fixture.wallets.released(), []);
    assert!(fixture.events().await.last().is_some_and(|event| event.starts_with("replied")));
    fixture.wallets.refuse(NotConfirmed::NoHold);
    no_hold(&fixture.counsels.clone().create_message(by(KIM, of_the_original(&counsel))).await.unwrap_err());
    Ok(())
}

async fn a_refused_message_of_the_original_releases_its_token(fixture: Fixture) -> anyhow::Result<()> {
    let counsel = fixture.opened().await?;
    let refused = fixture.counsels.clone().create_message(by(LEE, of_the_original(&counsel))).await.unwrap_err();
    assert_eq!(refused.code(), Code::NotFound);
    let released = fixture.wallets.released();
    assert!(matches!(released[..], [Hold { attempt: 1, .. }]), "{released:?}");
    // The gateway releases the hold that it has made.
    fixture.send(&Uuid::now_v7().to_string(), Uuid::now_v7(), "안녕").await.unwrap_err();
    // A reply that fails releases its token by an event.
    fixture.responder.then(Step::Fail);
    fixture.counsels.clone().create_message(by(KIM, of_the_original(&counsel))).await.unwrap_err();
    assert_eq!(fixture.wallets.released(), released);
    Ok(())
}

pub(crate) fn trials() -> Trials {
    Trials::new()
        .test("the calls to the user service are signed and made for the person", calls_are_signed)
        .test("a refusal of the user service differs from an outage", refusals_and_outages_differ)
}

/// A user service that answers every confirmation like this.
#[derive(Clone)]
struct UserServiceThat(Arc<Answer>);
type Answer = dyn Fn(&ConfirmReservationRequest) -> Result<ConfirmReservationResponse, Status> + Send + Sync;
#[tonic::async_trait]
impl UserService for UserServiceThat {
    async fn confirm_reservation(
        &self,
        request: Request<ConfirmReservationRequest>,
    ) -> Result<Response<ConfirmReservationResponse>, Status> {
        let identity = Identity::of(&request).cloned().ok_or_else(|| Status::unauthenticated("nobody"))?;
        assert_eq!(&*identity.caller, "counseling-service");
        assert_eq!(identity.person.unwrap().id.to_string(), request.get_ref().user_id);
        (self.0)(request.get_ref()).map(Response::new)
    }
    async fn release_tokens(
        &self,
        request: Request<ReleaseTokensRequest>,
    ) -> Result<Response<ReleaseTokensResponse>, Status> {
        let ReleaseTokensRequest { user_id, reservation_id, attempt } = request.into_inner();
        let expected = (KIM.to_string(), LEE.to_string(), 3);
        assert_eq!((user_id, reservation_id, attempt), expected);
        Ok(Response::new(ReleaseTokensResponse {}))
    }
}

async fn wallets_of(
    answer: impl Fn(&ConfirmReservationRequest) -> Result<ConfirmReservationResponse, Status> + Send + Sync + 'static,
) -> anyhow::Result<Wallets> {
    let listener = Listener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await?;
    let url = format!("http://{}", listener.local_addr()?);
    let service = UserServiceServer::new(UserServiceThat(Arc::new(answer)));
    let guarded = Guarded::new(service, &AuthInterceptor::new(USER_SERVICE, &proof()));
    let server = tonic::transport::Server::builder().add_service(guarded);
    tokio::spawn(server.serve_with_incoming(listener.incoming()));
    Ok(Wallets::new(&url, &proof())?)
}

async fn calls_are_signed() -> anyhow::Result<()> {
    let wallets = wallets_of(|request| {
        let reservation_id = request.reservation_id.clone().unwrap_or_else(|| request.exchange_id.clone());
        Ok(ConfirmReservationResponse { reservation_id, attempt: 3 })
    })
    .await?;
    let exchange = Some(LEE.into());
    assert_eq!(wallets.confirm(KIM.into(), exchange).await?, Hold { exchange: LEE.into(), attempt: 3 });
    let (one, other) = (wallets.confirm(KIM.into(), None).await?, wallets.confirm(KIM.into(), None).await?);
    assert_ne!(one.exchange, other.exchange, "each takes over under a new id");
    wallets.release(KIM.into(), Hold { exchange: LEE.into(), attempt: 3 }).await?;
    Ok(())
}

async fn refusals_and_outages_differ() -> anyhow::Result<()> {
    for (status, is_refusal) in [
        (Status::failed_precondition("none is held"), true),
        (Status::not_found("no such person"), true),
        (Status::unavailable("database"), false),
        (Status::internal("bug"), false),
        (Status::unimplemented("an older user service"), false),
    ] {
        let answer = status.clone();
        let wallets = wallets_of(move |_| Err(answer.clone())).await?;
        let refused = wallets.confirm(KIM.into(), None).await.unwrap_err();
        assert_eq!(refused == NotConfirmed::NoHold, is_refusal, "{status:?}: {refused:?}");
    }
    let unreadable = wallets_of(|_| Ok(ConfirmReservationResponse { reservation_id: "1".into(), attempt: 1 })).await?;
    assert!(matches!(unreadable.confirm(KIM.into(), None).await, Err(NotConfirmed::Unavailable(_))));
    let nobody = Wallets::new("http://127.0.0.1:1", &proof())?;
    assert!(matches!(nobody.confirm(KIM.into(), None).await, Err(NotConfirmed::Unavailable(_))));
    Ok(())
}
