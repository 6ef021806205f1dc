//! Tests of reservations: by id, for a minute, up to the balance.
use crate::fixture::{Fixture, field};
use contracts::{
    NO_REMAINING_TOKENS,
    v1::service::{ReserveTokensRequest, ReserveTokensResponse},
};
use cqrs_core::grpc::details;
use futures_util::future::join_all;
use service_edge::testing::by;
use tonic::{Code, Status};
use uuid::Uuid;

service_edge::cases![
    a_full_wallet_holds_seven_tokens_and_no_more,
    a_repeated_reservation_returns_the_same_hold,
    a_reservation_without_an_id_gets_a_new_one,
    defect_04_a_reservation_without_an_id_is_not_made_twice,
    defect_04_concurrent_reservations_without_an_id_hold_one_token,
    a_hold_ends_after_a_minute,
    fifty_concurrent_reservations_hold_seven_tokens,
    fifty_concurrent_reservations_of_one_exchange_hold_one_token,
];

fn is_refused(status: &Status) -> bool {
    status.code() == Code::ResourceExhausted && details(status).reason.as_deref() == Some(NO_REMAINING_TOKENS)
}

async fn a_full_wallet_holds_seven_tokens_and_no_more(mut fixture: Fixture) -> anyhow::Result<()> {
    let kim = fixture.visitor().await?;
    for left in (0..7).rev() {
        let held = fixture.reserve(&kim, Uuid::now_v7()).await?;
        assert_eq!((held.remaining_tokens, held.max_tokens, held.reserved, held.attempt), (left, 7, true, Some(1)));
    }
    assert!(is_refused(&fixture.reserve(&kim, Uuid::now_v7()).await.unwrap_err()));
    let wallet = fixture.wallet(&kim).await?;
    assert_eq!((wallet.remaining_tokens, wallet.reserved, wallet.resets_at), (0, true, None));
    assert!(wallet.reserved_timeout.ends_with('Z'));
    Ok(())
}

async fn a_repeated_reservation_returns_the_same_hold(mut fixture: Fixture) -> anyhow::Result<()> {
    let (kim, exchange) = (fixture.visitor().await?, Uuid::now_v7());
    let first = fixture.reserve(&kim, exchange).await?;
    assert_eq!(fixture.reserve(&kim, exchange).await?, first);
    assert_eq!(first.reservation_id, Some(exchange.to_string()));
    assert_eq!(fixture.remaining(&kim).await?, 6);
    Ok(())
}

/// Reserves a token as a client of the original does.
async fn without_id(fixture: &Fixture, user: &str) -> Result<ReserveTokensResponse, Status> {
    let request = ReserveTokensRequest { user_id: user.into(), reservation_id: None };
    Ok(fixture.users.clone().reserve_tokens(by(user, request)).await?.into_inner())
}

async fn a_reservation_without_an_id_gets_a_new_one(mut fixture: Fixture) -> anyhow::Result<()> {
    let kim = fixture.visitor().await?;
    let first = without_id(&fixture, &kim).await?;
    assert_eq!((first.remaining_tokens, first.reserved, first.attempt), (6, true, Some(1)));
    fixture.environment.pass(60);
    let second = without_id(&fixture, &kim).await?;
    assert_ne!(first.reservation_id, second.reservation_id, "the first hold has ended");
    assert_eq!(second.remaining_tokens, 6);
    let request = ReserveTokensRequest { user_id: kim.clone(), reservation_id: Some("x".into()) };
    let refused = fixture.users.reserve_tokens(by(&kim, request)).await;
    assert_eq!(field(refused), (Code::InvalidArgument, "reservation_id".into()));
    Ok(())
}

async fn defect_04_a_reservation_without_an_id_is_not_made_twice(mut fixture: Fixture) -> anyhow::Result<()> {
    let kim = fixture.visitor().await?;
    let first = without_id(&fixture, &kim).await?;
    assert_eq!(without_id(&fixture, &kim).await?, first);
    // One with an id is another token.
    assert_eq!(fixture.reserve(&kim, Uuid::now_v7()).await?.remaining_tokens, 5);
    assert_eq!(without_id(&fixture, &kim).await?.reservation_id, first.reservation_id);
    Ok(())
}

async fn defect_04_concurrent_reservations_without_an_id_hold_one_token(mut fixture: Fixture) -> anyhow::Result<()> {
    let kim = fixture.visitor().await?;
    let mut ids = Vec::new();
    for held in join_all((0..20).map(|_| without_id(&fixture, &kim))).await {
        ids.push(held?.reservation_id);
    }
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    assert_eq!(fixture.remaining(&kim).await?, 6);
    Ok(())
}

async fn a_hold_ends_after_a_minute(mut fixture: Fixture) -> anyhow::Result<()> {
    let (kim, exchange) = (fixture.visitor().await?, Uuid::now_v7());
    fixture.reserve(&kim, exchange).await?;
    fixture.environment.pass(60);
    let wallet = fixture.wallet(&kim).await?;
    assert_eq!((wallet.remaining_tokens, wallet.reserved, &*wallet.reserved_timeout), (7, false, ""));
    assert_eq!(fixture.reserve(&kim, exchange).await?.attempt, Some(2));
    Ok(())
}

async fn fifty_concurrent_reservations_hold_seven_tokens(mut fixture: Fixture) -> anyhow::Result<()> {
    let kim = fixture.visitor().await?;
    let results = join_all((0..50).map(|_| fixture.reserve(&kim, Uuid::now_v7()))).await;
    let (held, refused): (Vec<_>, Vec<_>) = results.into_iter().partition(Result::is_ok);
    assert_eq!(held.len(), 7);
    assert!(refused.iter().all(|result| is_refused(result.as_ref().unwrap_err())), "{refused:?}");
    assert_eq!(fixture.remaining(&kim).await?, 0);
    Ok(())
}

async fn fifty_concurrent_reservations_of_one_exchange_hold_one_token(mut fixture: Fixture) -> anyhow::Result<()> {
    let (kim, exchange) = (fixture.visitor().await?, Uuid::now_v7());
    for held in join_all((0..50).map(|_| fixture.reserve(&kim, exchange))).await {
        assert_eq!(held?.attempt, Some(1));
    }
    assert_eq!(fixture.remaining(&kim).await?, 6);
    Ok(())
}
