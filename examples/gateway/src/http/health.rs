//! The health endpoints: liveness and readiness.
use crate::{
    envelope::{Answer, Success, ok},
    error::Error,
    extract::Call,
    http::Gateway,
    upstream::{Counselors, Counsels, Users},
};
use axum::extract::State;
use contracts::v1::service as rpc;
use cqrs_core::app::{Component, Health, HealthCheck};
use service_auth::Person;
use std::time::{Duration, Instant};
use tokio::sync::Mutex;
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;

/// The time limit of a health check.
const PATIENCE: Duration = Duration::from_secs(2);
/// The time for which a result is used.
const FRESH: Duration = Duration::from_millis(500);

pub(super) fn routes() -> OpenApiRouter<Gateway> {
    OpenApiRouter::new().routes(routes!(live)).routes(routes!(ready))
}

/// Reports whether the gateway runs.
#[utoipa::path(get, path = "/health/live", security(()), responses((status = 200)))]
async fn live() -> Success<()> {
    ok("게이트웨이가 실행 중입니다.", ())
}

/// Reports whether the gateway and its services accept requests.
#[utoipa::path(get, path = "/health/ready", security(()), responses((status = 200)))]
async fn ready(State(gateway): State<Gateway>) -> Answer<()> {
    if gateway.is_stopping() {
        return Err(Error::down(vec!["gateway: it is shutting down".to_owned()]));
    }
    let components = gateway.health().await.components;
    let required = components.iter().filter(|component| component.required);
    let failing = required.filter_map(|component| Some(format!("{}: {}", component.name, component.error.as_ref()?)));
    let failing: Vec<_> = failing.collect();
    if failing.is_empty() {
        Ok(ok("요청을 받을 준비가 되었습니다.", ()))
    } else {
        Err(Error::down(failing))
    }
}

/// The last result, which all who ask within [`FRESH`] share: readiness needs no login, so its cost must not grow with them.
#[derive(Default)]
pub(super) struct LastHealth(Mutex<Option<(Instant, Health)>>);

#[async_trait::async_trait]
impl HealthCheck for Gateway {
    async fn health(&self) -> Health {
        let mut last = self.last_health().0.lock().await; // the others wait for the check that runs
        match &*last {
            Some((at, health)) if at.elapsed() < FRESH => health.clone(),
            _ => {
                let health = self.check_services().await;
                *last = Some((Instant::now(), health.clone()));
                health
            }
        }
    }
}
impl Gateway {
    /// Makes a cheap call to each service. Any response counts as healthy, except a refusal of the gateway's proof. One of the
    /// counseling service and its query side is enough: the requests that the other one would answer are refused.
    async fn check_services(&self) -> Health {
        let (call, upstream) = (Call::own().of(Person::user(Uuid::nil())), self.upstream());
        let users = async {
            let person = rpc::FindUserByUserIdRequest { user_id: Uuid::nil().to_string() };
            upstream.users.ask(&call, Users::find_user_by_user_id, person).await.map(drop)
        };
        let counseling = async {
            let tones = rpc::FindTonesRequest { limit: Some(1), ..Default::default() };
            upstream.counselors.ask(&call, Counselors::find_tones, tones).await.map(drop)
        };
        let queries = async {
            let Some(queries) = &upstream.counsel_queries else { return Err(Error::down(Vec::new())) };
            let counsel = rpc::FindCounselByIdRequest { counsel_id: Uuid::nil().to_string() };
            queries.ask(&call, Counsels::find_counsel_by_id, counsel).await.map(drop)
        };
        let (users, counseling, queries) = tokio::join!(answers(users), answers(counseling), answers(queries));
        let component = |name, answers: bool, required| {
            let error = (!answers).then(|| "does not answer".to_owned());
            Component { service: "gateway".to_owned(), name, required, error }
        };
        let mut components =
            vec![component("user-service", users, true), component("counseling-service", counseling, !queries)];
        if upstream.counsel_queries.is_some() {
            components.push(component("counseling-queries", queries, !counseling));
        }
        Health { components }
    }
}

/// Returns whether a service responds in time.
async fn answers(asked: impl Future<Output = Result<(), Error>>) -> bool {
    let result = tokio::time::timeout(PATIENCE, asked).await;
    result.is_ok_and(|result| result.err().is_none_or(|error| !error.is_outage()))
}
