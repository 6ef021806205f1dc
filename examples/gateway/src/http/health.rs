//! Whether the gateway runs, and whether it is of use.
use crate::{
    envelope::{Success, ok},
    error::Error,
    extract::{Call, Page},
    http::Gateway,
};
use axum::extract::State;
use cqrs_core::app::{Health, Part, Watched};
use std::time::Duration;
use trust::Person;
use uuid::Uuid;

/// How long a service may take to say anything at all.
const PATIENCE: Duration = Duration::from_secs(2);

pub(super) async fn live() -> Success<()> {
    ok("게이트웨이가 실행 중입니다.", ())
}

pub(super) async fn ready(State(gateway): State<Gateway>) -> Result<Success<()>, Error> {
    if gateway.is_stopping() {
        return Err(Error::down(vec!["gateway: it is ending".to_owned()]));
    }
    let parts = gateway.health().await.parts;
    let silent: Vec<_> = parts.iter().filter_map(|it| Some(format!("{}: {}", it.what, it.trouble.as_ref()?))).collect();
    if silent.is_empty() { Ok(ok("요청을 받을 준비가 되었습니다.", ())) } else { Err(Error::down(silent)) }
}

/// Asks each service something cheap. Any answer of its own will do, but that it does not believe us.
#[async_trait::async_trait]
impl Watched for Gateway {
    async fn health(&self) -> Health {
        let (call, upstream) = (Call::own().of(Person::user(Uuid::nil())), self.upstream());
        let one = Page { after: None, limit: Some(1) };
        let (users, counseling) = tokio::join!(
            tokio::time::timeout(PATIENCE, upstream.users.find(&call, Uuid::nil())),
            tokio::time::timeout(PATIENCE, upstream.counselors.tones(&call, None, one)),
        );
        let users = users.is_ok_and(|it| it.err().is_none_or(|error| !error.is_no_use()));
        let counseling = counseling.is_ok_and(|it| it.err().is_none_or(|error| !error.is_no_use()));
        let part = |what, answers: bool| {
            let trouble = (!answers).then(|| "does not answer".to_owned());
            Part { of: "gateway".to_owned(), what, needed: true, trouble }
        };
        Health { parts: vec![part("user-service", users), part("counseling-service", counseling)] }
    }
}
