//! The wallet of message tokens: seven in six hours. An exchange holds one, and its reply consumes it.
use super::{
    service::failed,
    time::{Timestamp, iso},
};
use chrono::TimeDelta;
use contracts::v1::service::{CheckRemainingTokensResponse, ReserveTokensResponse};
use sqlx::{FromRow, PgConnection, PgPool};
use tonic::Status;
use uuid::Uuid;

const ALLOWANCE: i32 = 7;
const HOLD: TimeDelta = TimeDelta::seconds(60);
const INTERVAL: TimeDelta = TimeDelta::hours(6);

#[derive(FromRow)]
struct WalletRow {
    allowance: i32,
    spent: i32,
    reset_at: Timestamp,
    version: i64,
    held: i64,
    held_until: Option<Timestamp>,
}
impl WalletRow {
    fn is_due(&self, now: Timestamp) -> bool {
        now >= self.reset_at + INTERVAL
    }
    fn spent(&self, now: Timestamp) -> i32 {
        if self.is_due(now) { 0 } else { self.spent }
    }
    fn remaining(&self, now: Timestamp) -> i32 {
        (self.allowance - self.spent(now) - self.held as i32).max(0)
    }
}
const SELECT: &str = "select allowance, spent, reset_at, version, held, held_until from wallets, \
    lateral (select count(*) as held, max(held_until) as held_until from holds \
             where holds.user_id = wallets.user_id and not holds.spent and held_until > $2) as active \
    where user_id = $1";

pub(super) async fn create(connection: &mut PgConnection, user: Uuid, at: Timestamp) -> Result<(), sqlx::Error> {
    let insert = sqlx::query("insert into wallets (user_id, allowance, reset_at) values ($1, $2, $3)");
    insert.bind(user).bind(ALLOWANCE).bind(at).execute(connection).await.map(drop)
}

pub(super) async fn balance(
    pool: &PgPool,
    user: Uuid,
    now: Timestamp,
) -> Result<CheckRemainingTokensResponse, sqlx::Error> {
    let wallet: WalletRow = sqlx::query_as(SELECT).bind(user).bind(now).fetch_one(pool).await?;
    Ok(CheckRemainingTokensResponse {
        remaining_tokens: wallet.remaining(now),
        max_tokens: wallet.allowance,
        reserved: wallet.held > 0,
        reserved_timeout: wallet.held_until.map(iso).unwrap_or_default(),
        resets_at: (wallet.spent(now) > 0).then(|| iso(wallet.reset_at + INTERVAL)),
    })
}

/// Holds a token for an exchange. Fails when none is left; the wallet's version keeps two holds from taking the last
/// one.
pub(super) async fn hold(
    pool: &PgPool,
    user: Uuid,
    exchange: Uuid,
    now: Timestamp,
) -> Result<ReserveTokensResponse, Status> {
    let mut tx = pool.begin().await.map_err(failed)?;
    let wallet: WalletRow = sqlx::query_as(SELECT).bind(user).bind(now).fetch_one(&mut *tx).await.map_err(failed)?;
    let remaining = wallet.remaining(now);
    if remaining == 0 {
        return Err(Status::resource_exhausted("no message tokens are left"));
    }
    let written = sqlx::query(
        "update wallets set spent = $3, reset_at = $4, version = version + 1 where user_id = $1 and version = $2",
    )
    .bind(user)
    .bind(wallet.version)
    .bind(wallet.spent(now))
    .bind(if wallet.is_due(now) { now } else { wallet.reset_at })
    .execute(&mut *tx)
    .await
    .map_err(failed)?;
    if written.rows_affected() == 0 {
        return Err(Status::aborted("somebody else has changed this wallet"));
    }
    sqlx::query("insert into holds (exchange_id, user_id, held_until) values ($1, $2, $3)")
        .bind(exchange)
        .bind(user)
        .bind(now + HOLD)
        .execute(&mut *tx)
        .await
        .map_err(failed)?;
    tx.commit().await.map_err(failed)?;
    Ok(ReserveTokensResponse {
        remaining_tokens: remaining - 1,
        max_tokens: wallet.allowance,
        reserved: true,
        attempt: Some(1),
        reservation_id: Some(exchange.to_string()),
    })
}

/// Consumes the token that an exchange holds. Returns the remaining tokens and the allowance.
pub(super) async fn spend(
    connection: &mut PgConnection,
    user: Uuid,
    exchange: Uuid,
) -> Result<(i32, i32), sqlx::Error> {
    let spend = sqlx::query("update holds set spent = true where exchange_id = $1 and not spent");
    spend.bind(exchange).execute(&mut *connection).await?;
    sqlx::query_as(
        "update wallets set spent = spent + 1, version = version + 1 where user_id = $1 \
         returning greatest(allowance - spent, 0), allowance",
    )
    .bind(user)
    .fetch_one(connection)
    .await
}
