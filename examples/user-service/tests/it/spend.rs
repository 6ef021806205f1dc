//! What counseling tells becomes accounting, once.
use crate::{
    neighbour::{Outcome, Tell},
    stage::Stage,
};
use cqrs_core::Error;
use futures_util::future::join_all;
use user_service::application::commands::SpendTokens;
use uuid::Uuid;

crate::cases![
    a_reply_costs_one_however_often_it_is_told,
    two_who_spend_at_once_spend_one,
    what_is_spent_is_never_held_again,
    a_failed_reply_gives_it_back,
    a_late_failure_does_not_touch_the_next_attempt,
    a_failure_before_the_reply_costs_one,
    six_hours_later_it_is_full_again,
    nobodys_reply_holds_nobody_up,
];

async fn tell(stage: &Stage, user: &str, exchange: Uuid, outcome: Outcome) -> anyhow::Result<()> {
    stage.counseling.send(Tell { user: user.into(), exchange, outcome }).await?;
    stage.settle().await;
    Ok(())
}

async fn a_reply_costs_one_however_often_it_is_told(mut stage: Stage) -> anyhow::Result<()> {
    let (kim, exchange) = (stage.visitor().await?, Uuid::now_v7());
    stage.reserve(&kim, exchange).await?;
    for _ in 0..3 {
        tell(&stage, &kim, exchange, Outcome::Replied).await?;
    }
    let wallet = stage.wallet(&kim).await?;
    assert_eq!((wallet.remaining_tokens, wallet.reserved), (6, false));
    assert!(wallet.resets_at.is_some_and(|it| it.ends_with('Z')));
    assert_eq!(stage.ears.heard(), [format!("registered {kim}"), format!("spent {exchange} left 6")]);
    Ok(())
}

async fn two_who_spend_at_once_spend_one(mut stage: Stage) -> anyhow::Result<()> {
    let (kim, exchange) = (stage.visitor().await?, Uuid::now_v7());
    let spend = SpendTokens { user: kim.parse()?, exchange: exchange.into() };
    for spent in join_all((0..20).map(|_| stage.app.send(spend.clone()))).await {
        assert!(matches!(spent, Ok(()) | Err(Error::Exists { .. })), "{spent:?}");
    }
    assert_eq!(stage.remaining(&kim).await?, 6);
    stage.settle().await;
    assert_eq!(stage.ears.heard().len(), 2);
    Ok(())
}

async fn what_is_spent_is_never_held_again(mut stage: Stage) -> anyhow::Result<()> {
    let (kim, exchange) = (stage.visitor().await?, Uuid::now_v7());
    stage.reserve(&kim, exchange).await?;
    tell(&stage, &kim, exchange, Outcome::Replied).await?;
    let again = stage.reserve(&kim, exchange).await?;
    assert_eq!((again.reserved, again.attempt, again.remaining_tokens), (false, None, 6));

    // A week later the wallet has forgotten it; the claim has not.
    stage.world.pass(7 * 24 * 3600);
    stage.reserve(&kim, Uuid::now_v7()).await?;
    let again = stage.reserve(&kim, exchange).await?;
    assert_eq!((again.reserved, again.attempt, again.remaining_tokens), (false, None, 6));
    tell(&stage, &kim, exchange, Outcome::Replied).await?;
    assert_eq!(stage.remaining(&kim).await?, 6);
    Ok(())
}

async fn a_failed_reply_gives_it_back(mut stage: Stage) -> anyhow::Result<()> {
    let (kim, exchange) = (stage.visitor().await?, Uuid::now_v7());
    stage.reserve(&kim, exchange).await?;
    tell(&stage, &kim, exchange, Outcome::Failed { attempt: 1 }).await?;
    assert_eq!(stage.remaining(&kim).await?, 7);
    assert_eq!(stage.reserve(&kim, exchange).await?.attempt, Some(2));
    Ok(())
}

async fn a_late_failure_does_not_touch_the_next_attempt(mut stage: Stage) -> anyhow::Result<()> {
    let (kim, exchange) = (stage.visitor().await?, Uuid::now_v7());
    stage.reserve(&kim, exchange).await?;
    stage.world.pass(61);
    assert_eq!(stage.reserve(&kim, exchange).await?.attempt, Some(2));
    tell(&stage, &kim, exchange, Outcome::Failed { attempt: 1 }).await?;
    assert_eq!(stage.remaining(&kim).await?, 6);
    tell(&stage, &kim, exchange, Outcome::Failed { attempt: 2 }).await?;
    assert_eq!(stage.remaining(&kim).await?, 7);
    Ok(())
}

async fn a_failure_before_the_reply_costs_one(mut stage: Stage) -> anyhow::Result<()> {
    let (kim, exchange) = (stage.visitor().await?, Uuid::now_v7());
    stage.reserve(&kim, exchange).await?;
    // Told one right after the other: both are done, in this order.
    let told = |outcome| Tell { user: kim.clone(), exchange, outcome };
    stage.counseling.send(told(Outcome::Failed { attempt: 1 })).await?;
    stage.counseling.send(told(Outcome::Replied)).await?;
    stage.settle().await;
    let wallet = stage.wallet(&kim).await?;
    assert_eq!((wallet.remaining_tokens, wallet.reserved), (6, false));
    Ok(())
}

async fn six_hours_later_it_is_full_again(mut stage: Stage) -> anyhow::Result<()> {
    let kim = stage.visitor().await?;
    for _ in 0..7 {
        tell(&stage, &kim, Uuid::now_v7(), Outcome::Replied).await?;
    }
    assert_eq!(stage.remaining(&kim).await?, 0);
    assert!(stage.reserve(&kim, Uuid::now_v7()).await.is_err());
    stage.world.pass(6 * 3600);
    assert_eq!(stage.remaining(&kim).await?, 7);
    assert_eq!(stage.reserve(&kim, Uuid::now_v7()).await?.remaining_tokens, 6);
    Ok(())
}

async fn nobodys_reply_holds_nobody_up(mut stage: Stage) -> anyhow::Result<()> {
    let (nobody, exchange) = (Uuid::now_v7().to_string(), Uuid::now_v7());
    // `settle` panics when something is stuck.
    tell(&stage, &nobody, exchange, Outcome::Replied).await?;
    tell(&stage, &nobody, exchange, Outcome::Failed { attempt: 1 }).await?;
    let kim = stage.visitor().await?;
    tell(&stage, &kim, exchange, Outcome::Replied).await?;
    assert_eq!(stage.remaining(&kim).await?, 6, "nothing was claimed for nobody");
    Ok(())
}
