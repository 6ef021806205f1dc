//! Tests of confirmed and released reservations.
use crate::{
    fixture::{Fixture, field, refusal},
    neighbour::{Outcome, ReportOutcome},
};
use contracts::v1::service::{
    ConfirmReservationRequest, ConfirmReservationResponse, ReleaseTokensRequest, ReserveTokensRequest,
};
use futures_util::future::join_all;
use service_edge::testing::by;
use tonic::{Code, Status};
use uuid::Uuid;

service_edge::cases![
    a_held_reservation_is_confirmed_with_its_attempt,
    an_exchange_without_a_hold_is_refused,
    a_paid_exchange_is_confirmed,
    an_exchange_takes_over_the_reservation_without_an_id,
    one_of_concurrent_exchanges_takes_over_a_reservation,
    a_reservation_is_not_confirmed_for_another_exchange,
    a_token_is_released_at_once,
    defect_04_a_late_release_does_not_touch_the_next_attempt,
    defect_04_the_tokens_of_a_linked_person_reset_at_midnight_in_korea,
    an_invalid_id_or_attempt_is_refused,
];

async fn confirm(
    fixture: &Fixture,
    user: &str,
    reservation: Option<Uuid>,
    exchange: Uuid,
) -> Result<ConfirmReservationResponse, Status> {
    let (user_id, reservation_id) = (user.into(), reservation.map(|id| id.to_string()));
    let request = ConfirmReservationRequest { user_id, reservation_id, exchange_id: exchange.to_string() };
    Ok(fixture.users.clone().confirm_reservation(by(user, request)).await?.into_inner())
}
async fn release(fixture: &Fixture, user: &str, exchange: Uuid, attempt: i32) -> Result<(), Status> {
    let request = ReleaseTokensRequest { user_id: user.into(), reservation_id: exchange.to_string(), attempt };
    fixture.users.clone().release_tokens(by(user, request)).await.map(drop)
}
async fn without_id(fixture: &Fixture, user: &str) -> Result<Uuid, Status> {
    let request = ReserveTokensRequest { user_id: user.into(), reservation_id: None };
    let reserved = fixture.users.clone().reserve_tokens(by(user, request)).await?.into_inner();
    Ok(reserved.reservation_id.unwrap_or_default().parse().unwrap_or_default())
}
async fn pay(fixture: &Fixture, user: &str, exchange: Uuid) -> anyhow::Result<()> {
    fixture.neighbour.send(ReportOutcome { user: user.into(), exchange, outcome: Outcome::Replied }).await?;
    fixture.settle().await;
    Ok(())
}
fn no_reservation() -> (Code, String) {
    (Code::FailedPrecondition, "NO_RESERVATION".into())
}

async fn a_held_reservation_is_confirmed_with_its_attempt(mut fixture: Fixture) -> anyhow::Result<()> {
    let (kim, exchange) = (fixture.visitor().await?, Uuid::now_v7());
    fixture.reserve(&kim, exchange).await?;
    fixture.environment.pass(60);
    fixture.reserve(&kim, exchange).await?;
    for reservation in [Some(exchange), None] {
        let confirmed = confirm(&fixture, &kim, reservation, exchange).await?;
        assert_eq!((confirmed.reservation_id, confirmed.attempt), (exchange.to_string(), 2));
    }
    assert_eq!(fixture.remaining(&kim).await?, 6);
    Ok(())
}

async fn an_exchange_without_a_hold_is_refused(mut fixture: Fixture) -> anyhow::Result<()> {
    let (kim, lee, exchange) = (fixture.visitor().await?, fixture.visitor().await?, Uuid::now_v7());
    for reservation in [Some(exchange), None] {
        assert_eq!(refusal(confirm(&fixture, &kim, reservation, exchange).await), no_reservation());
    }
    fixture.reserve(&kim, exchange).await?;
    assert_eq!(refusal(confirm(&fixture, &lee, Some(exchange), exchange).await), no_reservation());
    fixture.environment.pass(60);
    assert_eq!(refusal(confirm(&fixture, &kim, Some(exchange), exchange).await), no_reservation());
    Ok(())
}

async fn a_paid_exchange_is_confirmed(mut fixture: Fixture) -> anyhow::Result<()> {
    let (kim, lee, exchange) = (fixture.visitor().await?, fixture.visitor().await?, Uuid::now_v7());
    fixture.reserve(&kim, exchange).await?;
    pay(&fixture, &kim, exchange).await?;
    assert_eq!(confirm(&fixture, &kim, Some(exchange), exchange).await?.attempt, 1);
    // A week later the wallet has dropped the exchange, but the paid exchange is still stored.
    fixture.environment.pass(7 * 24 * 3600);
    fixture.reserve(&kim, Uuid::now_v7()).await?;
    assert_eq!(confirm(&fixture, &kim, Some(exchange), exchange).await?.attempt, 1);
    assert_eq!(refusal(confirm(&fixture, &lee, Some(exchange), exchange).await), no_reservation());
    Ok(())
}

async fn an_exchange_takes_over_the_reservation_without_an_id(mut fixture: Fixture) -> anyhow::Result<()> {
    let (kim, exchange) = (fixture.visitor().await?, Uuid::now_v7());
    let generated = without_id(&fixture, &kim).await?;
    for _ in 0..2 {
        let confirmed = confirm(&fixture, &kim, None, exchange).await?;
        assert_eq!((confirmed.reservation_id, confirmed.attempt), (exchange.to_string(), 1));
    }
    assert_eq!(refusal(confirm(&fixture, &kim, None, Uuid::now_v7()).await), no_reservation());
    assert_ne!(without_id(&fixture, &kim).await?, generated, "the reservation has a name now");
    pay(&fixture, &kim, exchange).await?;
    let wallet = fixture.wallet(&kim).await?;
    assert_eq!((wallet.remaining_tokens, wallet.reserved), (5, true), "one is consumed, one is held");
    Ok(())
}

async fn one_of_concurrent_exchanges_takes_over_a_reservation(mut fixture: Fixture) -> anyhow::Result<()> {
    let kim = fixture.visitor().await?;
    without_id(&fixture, &kim).await?;
    let confirmed = join_all((0..8).map(|_| confirm(&fixture, &kim, None, Uuid::now_v7()))).await;
    assert_eq!(confirmed.iter().filter(|confirmed| confirmed.is_ok()).count(), 1, "{confirmed:?}");
    for refused in confirmed.into_iter().filter(Result::is_err) {
        assert_eq!(refusal(refused), no_reservation());
    }
    Ok(())
}

async fn a_reservation_is_not_confirmed_for_another_exchange(mut fixture: Fixture) -> anyhow::Result<()> {
    let (kim, one, other) = (fixture.visitor().await?, Uuid::now_v7(), Uuid::now_v7());
    fixture.reserve(&kim, one).await?;
    assert_eq!(refusal(confirm(&fixture, &kim, Some(one), other).await), no_reservation());
    // A client that passes on the generated id names a reservation that no exchange has named.
    let generated = without_id(&fixture, &kim).await?;
    let confirmed = confirm(&fixture, &kim, Some(generated), other).await?;
    assert_eq!(confirmed.reservation_id, other.to_string());
    assert_eq!(fixture.remaining(&kim).await?, 5);
    Ok(())
}

async fn a_token_is_released_at_once(mut fixture: Fixture) -> anyhow::Result<()> {
    let (kim, exchange) = (fixture.visitor().await?, Uuid::now_v7());
    fixture.reserve(&kim, exchange).await?;
    release(&fixture, &kim, exchange, 1).await?;
    assert_eq!(fixture.remaining(&kim).await?, 7);
    release(&fixture, &kim, exchange, 1).await?;
    release(&fixture, &kim, Uuid::now_v7(), 1).await?;
    assert_eq!(fixture.remaining(&kim).await?, 7);
    assert_eq!(refusal(release(&fixture, &Uuid::now_v7().to_string(), exchange, 1).await).0, Code::NotFound);
    Ok(())
}

async fn defect_04_a_late_release_does_not_touch_the_next_attempt(mut fixture: Fixture) -> anyhow::Result<()> {
    let (kim, exchange) = (fixture.visitor().await?, Uuid::now_v7());
    fixture.reserve(&kim, exchange).await?;
    fixture.environment.pass(61);
    assert_eq!(fixture.reserve(&kim, exchange).await?.attempt, Some(2));
    release(&fixture, &kim, exchange, 1).await?;
    assert_eq!(fixture.remaining(&kim).await?, 6);
    release(&fixture, &kim, exchange, 2).await?;
    assert_eq!(fixture.remaining(&kim).await?, 7);
    Ok(())
}

async fn defect_04_the_tokens_of_a_linked_person_reset_at_midnight_in_korea(
    mut fixture: Fixture,
) -> anyhow::Result<()> {
    let kim = fixture.visitor().await?;
    fixture.link(&kim, "1").await?;
    pay(&fixture, &kim, Uuid::now_v7()).await?;
    let wallet = fixture.wallet(&kim).await?;
    assert_eq!(wallet.remaining_tokens, 999);
    let resets_at = wallet.resets_at.unwrap_or_default();
    assert!(resets_at.contains("T15:00:00"), "midnight in Korea is 15:00 in UTC: {resets_at}");
    fixture.environment.pass(24 * 3600);
    assert_eq!(fixture.remaining(&kim).await?, 1_000);
    Ok(())
}

async fn an_invalid_id_or_attempt_is_refused(mut fixture: Fixture) -> anyhow::Result<()> {
    let (kim, exchange) = (fixture.visitor().await?, Uuid::now_v7());
    for attempt in [0, -1, i32::MIN] {
        let released = release(&fixture, &kim, exchange, attempt).await;
        assert_eq!(field(released), (Code::InvalidArgument, "attempt".into()));
    }
    let (user_id, reservation_id) = (kim.clone(), "x".to_owned());
    let request = ReleaseTokensRequest { user_id, reservation_id: reservation_id.clone(), attempt: 1 };
    let released = fixture.users.release_tokens(by(&kim, request)).await;
    assert_eq!(field(released), (Code::InvalidArgument, "reservation_id".into()));
    for (reservation_id, exchange_id, wrong) in
        [(Some(reservation_id), exchange.to_string(), "reservation_id"), (None, "x".to_owned(), "exchange_id")]
    {
        let request = ConfirmReservationRequest { user_id: kim.clone(), reservation_id, exchange_id };
        let confirmed = fixture.users.confirm_reservation(by(&kim, request)).await;
        assert_eq!(field(confirmed), (Code::InvalidArgument, wrong.into()));
    }
    Ok(())
}
