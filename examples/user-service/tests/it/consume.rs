//! Tests of accounting: events of exchanges consume or release a token once.
use crate::{
    fixture::Fixture,
    neighbour::{Outcome, ReportOutcome},
};
use cqrs_core::Error;
use futures_util::future::join_all;
use user_service::application::commands::ConsumeTokens;
use uuid::Uuid;

service_edge::cases![
    a_repeated_reply_event_consumes_one_token,
    concurrent_commands_for_one_exchange_consume_one_token,
    a_paid_exchange_is_never_held_again,
    a_failed_reply_releases_the_token,
    a_free_reply_releases_the_token,
    a_late_failure_does_not_affect_the_next_attempt,
    a_reply_after_a_failure_consumes_one_token,
    the_wallet_is_full_again_after_six_hours,
    an_event_of_an_unknown_person_does_not_block_others,
];

async fn report(fixture: &Fixture, user: &str, exchange: Uuid, outcome: Outcome) -> anyhow::Result<()> {
    fixture.neighbour.send(ReportOutcome { user: user.into(), exchange, outcome }).await?;
    fixture.settle().await;
    Ok(())
}

async fn a_repeated_reply_event_consumes_one_token(mut fixture: Fixture) -> anyhow::Result<()> {
    let (kim, exchange) = (fixture.visitor().await?, Uuid::now_v7());
    fixture.reserve(&kim, exchange).await?;
    for _ in 0..3 {
        report(&fixture, &kim, exchange, Outcome::Replied).await?;
    }
    let wallet = fixture.wallet(&kim).await?;
    assert_eq!((wallet.remaining_tokens, wallet.reserved), (6, false));
    assert!(wallet.resets_at.is_some_and(|time| time.ends_with('Z')));
    assert_eq!(fixture.received.events(), [format!("registered {kim}"), format!("consumed {exchange} left 6")]);
    Ok(())
}

async fn concurrent_commands_for_one_exchange_consume_one_token(mut fixture: Fixture) -> anyhow::Result<()> {
    let (kim, exchange) = (fixture.visitor().await?, Uuid::now_v7());
    let consume = ConsumeTokens { user: kim.parse()?, exchange: exchange.into() };
    for consumed in join_all((0..20).map(|_| fixture.app.send(consume.clone()))).await {
        assert!(matches!(consumed, Ok(()) | Err(Error::Exists { .. })), "{consumed:?}");
    }
    assert_eq!(fixture.remaining(&kim).await?, 6);
    fixture.settle().await;
    assert_eq!(fixture.received.events().len(), 2);
    Ok(())
}

async fn a_paid_exchange_is_never_held_again(mut fixture: Fixture) -> anyhow::Result<()> {
    let (kim, exchange) = (fixture.visitor().await?, Uuid::now_v7());
    fixture.reserve(&kim, exchange).await?;
    report(&fixture, &kim, exchange, Outcome::Replied).await?;
    let again = fixture.reserve(&kim, exchange).await?;
    assert_eq!((again.reserved, again.attempt, again.remaining_tokens), (false, None, 6));

    // A week later the wallet has dropped the exchange, but the paid exchange is still stored.
    fixture.environment.pass(7 * 24 * 3600);
    fixture.reserve(&kim, Uuid::now_v7()).await?;
    let again = fixture.reserve(&kim, exchange).await?;
    assert_eq!((again.reserved, again.attempt, again.remaining_tokens), (false, None, 6));
    report(&fixture, &kim, exchange, Outcome::Replied).await?;
    assert_eq!(fixture.remaining(&kim).await?, 6);
    Ok(())
}

async fn a_failed_reply_releases_the_token(mut fixture: Fixture) -> anyhow::Result<()> {
    let (kim, exchange) = (fixture.visitor().await?, Uuid::now_v7());
    fixture.reserve(&kim, exchange).await?;
    report(&fixture, &kim, exchange, Outcome::Failed { attempt: 1 }).await?;
    assert_eq!(fixture.remaining(&kim).await?, 7);
    assert_eq!(fixture.reserve(&kim, exchange).await?.attempt, Some(2));
    Ok(())
}

async fn a_free_reply_releases_the_token(mut fixture: Fixture) -> anyhow::Result<()> {
    let (kim, exchange) = (fixture.visitor().await?, Uuid::now_v7());
    fixture.reserve(&kim, exchange).await?;
    report(&fixture, &kim, exchange, Outcome::RepliedFree { attempt: 1 }).await?;
    let wallet = fixture.wallet(&kim).await?;
    assert_eq!((wallet.remaining_tokens, wallet.reserved, wallet.resets_at), (7, false, None));
    Ok(())
}

async fn a_late_failure_does_not_affect_the_next_attempt(mut fixture: Fixture) -> anyhow::Result<()> {
    let (kim, exchange) = (fixture.visitor().await?, Uuid::now_v7());
    fixture.reserve(&kim, exchange).await?;
    fixture.environment.pass(61);
    assert_eq!(fixture.reserve(&kim, exchange).await?.attempt, Some(2));
    report(&fixture, &kim, exchange, Outcome::Failed { attempt: 1 }).await?;
    assert_eq!(fixture.remaining(&kim).await?, 6);
    report(&fixture, &kim, exchange, Outcome::Failed { attempt: 2 }).await?;
    assert_eq!(fixture.remaining(&kim).await?, 7);
    Ok(())
}

async fn a_reply_after_a_failure_consumes_one_token(mut fixture: Fixture) -> anyhow::Result<()> {
    let (kim, exchange) = (fixture.visitor().await?, Uuid::now_v7());
    fixture.reserve(&kim, exchange).await?;
    // Published one right after the other: both are handled in this order.
    let outcome_of = |outcome| ReportOutcome { user: kim.clone(), exchange, outcome };
    fixture.neighbour.send(outcome_of(Outcome::Failed { attempt: 1 })).await?;
    fixture.neighbour.send(outcome_of(Outcome::Replied)).await?;
    fixture.settle().await;
    let wallet = fixture.wallet(&kim).await?;
    assert_eq!((wallet.remaining_tokens, wallet.reserved), (6, false));
    Ok(())
}

async fn the_wallet_is_full_again_after_six_hours(mut fixture: Fixture) -> anyhow::Result<()> {
    let kim = fixture.visitor().await?;
    for _ in 0..7 {
        report(&fixture, &kim, Uuid::now_v7(), Outcome::Replied).await?;
    }
    assert_eq!(fixture.remaining(&kim).await?, 0);
    assert!(fixture.reserve(&kim, Uuid::now_v7()).await.is_err());
    fixture.environment.pass(6 * 3600);
    assert_eq!(fixture.remaining(&kim).await?, 7);
    assert_eq!(fixture.reserve(&kim, Uuid::now_v7()).await?.remaining_tokens, 6);
    Ok(())
}

async fn an_event_of_an_unknown_person_does_not_block_others(mut fixture: Fixture) -> anyhow::Result<()> {
    let (unknown, exchange) = (Uuid::now_v7().to_string(), Uuid::now_v7());
    // `settle` panics when an event cannot be handled.
    report(&fixture, &unknown, exchange, Outcome::Replied).await?;
    report(&fixture, &unknown, exchange, Outcome::Failed { attempt: 1 }).await?;
    let kim = fixture.visitor().await?;
    report(&fixture, &kim, exchange, Outcome::Replied).await?;
    assert_eq!(fixture.remaining(&kim).await?, 6, "the unknown person did not consume the exchange");
    Ok(())
}
