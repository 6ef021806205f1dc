//! Tests of reservations: by id, for a minute, up to the balance.
use crate::fixture::Fixture;
use contracts::{NO_REMAINING_TOKENS, v1::service::ReserveTokensRequest};
use cqrs_core::grpc::details;
use futures_util::future::join_all;
use service_edge::testing::by;
use tonic::{Code, Status};
use uuid::Uuid;

service_edge::cases![
    a_full_wallet_holds_seven_tokens_and_no_more,
    a_repeated_reservation_returns_the_same_hold,
    a_reservation_without_an_id_gets_a_new_one,
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

async fn a_reservation_without_an_id_gets_a_new_one(mut fixture: Fixture) -> anyhow::Result<()> {
    let kim = fixture.visitor().await?;
    let request =
        |id: Option<&str>| by(&kim, ReserveTokensRequest { user_id: kim.clone(), reservation_id: id.map(Into::into) });
    let first = fixture.users.reserve_tokens(request(None)).await?.into_inner();
    let second = fixture.users.reserve_tokens(request(None)).await?.into_inner();
    assert_ne!(first.reservation_id, second.reservation_id);
    assert_eq!(second.remaining_tokens, 5);
    let status = fixture.users.reserve_tokens(request(Some("x"))).await;
    assert_eq!(details(&status.unwrap_err()).fields[0].0, "reservation_id");
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
