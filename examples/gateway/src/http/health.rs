//! Whether the gateway runs, and whether it is of use.
use crate::{
    envelope::{Success, ok},
    error::Error,
    extract::{Call, Page},
    http::Gateway,
};
use axum::extract::State;
use std::time::Duration;
use trust::Person;
use uuid::Uuid;

/// How long a service may take to say anything at all.
const PATIENCE: Duration = Duration::from_secs(2);

pub(super) async fn live() -> Success<()> {
    ok("게이트웨이가 실행 중입니다.", ())
}

/// Asks each service something cheap. Any answer of its own will do, but that it does not believe us.
pub(super) async fn ready(State(gateway): State<Gateway>, call: Call) -> Result<Success<()>, Error> {
    let (call, upstream) = (call.of(Person::user(Uuid::nil())), gateway.upstream());
    let one = Page { after: None, limit: Some(1) };
    let (users, counseling) = tokio::join!(
        tokio::time::timeout(PATIENCE, upstream.users.find(&call, Uuid::nil())),
        tokio::time::timeout(PATIENCE, upstream.counselors.tones(&call, None, one)),
    );
    let users = users.is_ok_and(|it| it.err().is_none_or(|error| !error.is_no_use()));
    let counseling = counseling.is_ok_and(|it| it.err().is_none_or(|error| !error.is_no_use()));
    let services = [("user-service", users), ("counseling-service", counseling)];
    let silent = services.into_iter().filter(|(_, answers)| !answers);
    let silent: Vec<_> = silent.map(|(name, _)| format!("{name}: does not answer")).collect();
    if silent.is_empty() { Ok(ok("요청을 받을 준비가 되었습니다.", ())) } else { Err(Error::down(silent)) }
}
