//! The gRPC health service (`grpc.health.v1`). It needs no login, so all callers share one result: a watch
//! costs no query of its own.
use super::readiness::Readiness;
use crate::environment::{SystemEnvironment, within};
use futures_util::{Stream, stream::unfold};
use std::{pin::Pin, sync::Arc, time::Duration};
use tonic::{Request, Response, Status};
use tonic_health::pb::{
    HealthCheckRequest, HealthCheckResponse, health_check_response::ServingStatus, health_server::Health,
};

/// The interval at which a watch checks the status again.
const WATCH_INTERVAL: Duration = Duration::from_secs(1);

#[derive(Clone)]
pub(super) struct HealthService {
    readiness: Readiness,
    services: Arc<[&'static str]>,
}
impl HealthService {
    pub(super) fn new(readiness: Readiness, services: &[&'static str]) -> Self {
        HealthService { readiness, services: services.into() }
    }
    fn knows(&self, service: &str) -> bool {
        service.is_empty() || self.services.contains(&service)
    }
    async fn status(&self, service: &str) -> ServingStatus {
        match self.knows(service) {
            false => ServingStatus::ServiceUnknown,
            true if self.readiness.ready().await.0 => ServingStatus::Serving,
            true => ServingStatus::NotServing,
        }
    }
}

#[tonic::async_trait]
impl Health for HealthService {
    async fn check(&self, request: Request<HealthCheckRequest>) -> Result<Response<HealthCheckResponse>, Status> {
        let service = request.into_inner().service;
        if !self.knows(&service) {
            return Err(Status::not_found("this process has no service of that name"));
        }
        Ok(Response::new(response(self.status(&service).await)))
    }

    type WatchStream = Pin<Box<dyn Stream<Item = Result<HealthCheckResponse, Status>> + Send>>;

    /// Sends the current status, and then every change of it.
    async fn watch(&self, request: Request<HealthCheckRequest>) -> Result<Response<Self::WatchStream>, Status> {
        let service = request.into_inner().service;
        let changes = unfold((self.clone(), service, None), async |(health, service, mut last)| {
            loop {
                let status = health.status(&service).await;
                if last.replace(status) != Some(status) {
                    return Some((Ok(response(status)), (health, service, last)));
                }
                // The process is ending, so the status does not change any more, and an open stream would delay the
                // shutdown.
                if within(&SystemEnvironment, WATCH_INTERVAL, health.readiness.ends()).await.is_some()
                    && status != ServingStatus::Serving
                {
                    return None;
                }
            }
        });
        Ok(Response::new(Box::pin(changes)))
    }
}

fn response(status: ServingStatus) -> HealthCheckResponse {
    HealthCheckResponse { status: status.into() }
}
