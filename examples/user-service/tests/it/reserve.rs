//! Holds: by id, for a minute, never more than there are.
use crate::stage::{Stage, by};
use contracts::{NO_REMAINING_TOKENS, v1::service::ReserveTokensRequest};
use cqrs_core::grpc::details;
use futures_util::future::join_all;
use tonic::{Code, Status};
use uuid::Uuid;

crate::cases![
    seven_are_held_and_no_more,
    the_same_id_is_the_same_hold,
    without_an_id_one_is_made,
    a_hold_ends_after_a_minute,
    fifty_at_once_get_seven,
    fifty_times_the_same_is_one,
];

fn is_refused(status: &Status) -> bool {
    status.code() == Code::ResourceExhausted && details(status).reason.as_deref() == Some(NO_REMAINING_TOKENS)
}

async fn seven_are_held_and_no_more(mut stage: Stage) -> anyhow::Result<()> {
    let kim = stage.visitor().await?;
    for left in (0..7).rev() {
        let held = stage.reserve(&kim, Uuid::now_v7()).await?;
        assert_eq!((held.remaining_tokens, held.max_tokens, held.reserved, held.attempt), (left, 7, true, Some(1)));
    }
    assert!(is_refused(&stage.reserve(&kim, Uuid::now_v7()).await.unwrap_err()));
    let wallet = stage.wallet(&kim).await?;
    assert_eq!((wallet.remaining_tokens, wallet.reserved, wallet.resets_at), (0, true, None));
    assert!(wallet.reserved_timeout.ends_with('Z'));
    Ok(())
}

async fn the_same_id_is_the_same_hold(mut stage: Stage) -> anyhow::Result<()> {
    let (kim, exchange) = (stage.visitor().await?, Uuid::now_v7());
    let first = stage.reserve(&kim, exchange).await?;
    assert_eq!(stage.reserve(&kim, exchange).await?, first);
    assert_eq!(first.reservation_id, Some(exchange.to_string()));
    assert_eq!(stage.remaining(&kim).await?, 6);
    Ok(())
}

async fn without_an_id_one_is_made(mut stage: Stage) -> anyhow::Result<()> {
    let kim = stage.visitor().await?;
    let request =
        |id: Option<&str>| by(&kim, ReserveTokensRequest { user_id: kim.clone(), reservation_id: id.map(Into::into) });
    let first = stage.users.reserve_tokens(request(None)).await?.into_inner();
    let second = stage.users.reserve_tokens(request(None)).await?.into_inner();
    assert_ne!(first.reservation_id, second.reservation_id);
    assert_eq!(second.remaining_tokens, 5);
    let status = stage.users.reserve_tokens(request(Some("x"))).await;
    assert_eq!(details(&status.unwrap_err()).fields[0].0, "reservation_id");
    Ok(())
}

async fn a_hold_ends_after_a_minute(mut stage: Stage) -> anyhow::Result<()> {
    let (kim, exchange) = (stage.visitor().await?, Uuid::now_v7());
    stage.reserve(&kim, exchange).await?;
    stage.world.pass(60);
    let wallet = stage.wallet(&kim).await?;
    assert_eq!((wallet.remaining_tokens, wallet.reserved, &*wallet.reserved_timeout), (7, false, ""));
    assert_eq!(stage.reserve(&kim, exchange).await?.attempt, Some(2));
    Ok(())
}

async fn fifty_at_once_get_seven(mut stage: Stage) -> anyhow::Result<()> {
    let kim = stage.visitor().await?;
    let asked = join_all((0..50).map(|_| stage.reserve(&kim, Uuid::now_v7()))).await;
    let (held, refused): (Vec<_>, Vec<_>) = asked.into_iter().partition(Result::is_ok);
    assert_eq!(held.len(), 7);
    assert!(refused.iter().all(|it| is_refused(it.as_ref().unwrap_err())), "{refused:?}");
    assert_eq!(stage.remaining(&kim).await?, 0);
    Ok(())
}

async fn fifty_times_the_same_is_one(mut stage: Stage) -> anyhow::Result<()> {
    let (kim, exchange) = (stage.visitor().await?, Uuid::now_v7());
    for answer in join_all((0..50).map(|_| stage.reserve(&kim, exchange))).await {
        assert_eq!(answer?.attempt, Some(1));
    }
    assert_eq!(stage.remaining(&kim).await?, 6);
    Ok(())
}
