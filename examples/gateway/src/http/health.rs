//! The health endpoints: liveness and readiness.
use crate::{
    envelope::{Success, ok},
    error::Error,
    extract::{Call, Page},
    http::Gateway,
};
use axum::extract::State;
use cqrs_core::app::{Component, Health, HealthCheck};
use service_auth::Person;
use std::time::Duration;
use uuid::Uuid;

/// The time limit of a health check.
const PATIENCE: Duration = Duration::from_secs(2);

pub(super) async fn live() -> Success<()> {
    ok("게이트웨이가 실행 중입니다.", ())
}

pub(super) async fn ready(State(gateway): State<Gateway>) -> Result<Success<()>, Error> {
    if gateway.is_stopping() {
        return Err(Error::down(vec!["gateway: it is shutting down".to_owned()]));
    }
    let components = gateway.health().await.components;
    let failing =
        components.iter().filter_map(|component| Some(format!("{}: {}", component.name, component.error.as_ref()?)));
    let failing: Vec<_> = failing.collect();
    if failing.is_empty() {
        Ok(ok("요청을 받을 준비가 되었습니다.", ()))
    } else {
        Err(Error::down(failing))
    }
}

/// Makes a cheap call to each service. Any response counts as healthy, except a refusal of the gateway's proof.
#[async_trait::async_trait]
impl HealthCheck for Gateway {
    async fn health(&self) -> Health {
        let (call, upstream) = (Call::own().of(Person::user(Uuid::nil())), self.upstream());
        let one = Page { after: None, limit: Some(1) };
        let (users, counseling) = tokio::join!(
            tokio::time::timeout(PATIENCE, upstream.users.find(&call, Uuid::nil())),
            tokio::time::timeout(PATIENCE, upstream.counselors.tones(&call, None, one)),
        );
        let users = users.is_ok_and(|result| result.err().is_none_or(|error| !error.is_outage()));
        let counseling = counseling.is_ok_and(|result| result.err().is_none_or(|error| !error.is_outage()));
        let component = |name, answers: bool| {
            let error = (!answers).then(|| "does not answer".to_owned());
            Component { service: "gateway".to_owned(), name, required: true, error }
        };
        Health { components: vec![component("user-service", users), component("counseling-service", counseling)] }
    }
}
