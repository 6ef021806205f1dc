//! The gRPC health protocol (`grpc.health.v1`): asked, not kept, so that it is never older than the question.
use super::asked::Asked;
use crate::world::{Machine, within};
use futures_util::{Stream, stream::unfold};
use std::{pin::Pin, sync::Arc, time::Duration};
use tonic::{Request, Response, Status};
use tonic_health::pb::{
    HealthCheckRequest, HealthCheckResponse, health_check_response::ServingStatus, health_server::Health,
};

/// How often the state is looked at for whoever watches it.
const LOOK: Duration = Duration::from_secs(1);

#[derive(Clone)]
pub(super) struct Answers {
    asked: Asked,
    services: Arc<[&'static str]>,
}
impl Answers {
    pub(super) fn new(asked: Asked, services: &[&'static str]) -> Self {
        Answers { asked, services: services.into() }
    }
    fn knows(&self, service: &str) -> bool {
        service.is_empty() || self.services.contains(&service)
    }
    async fn now(&self, service: &str) -> ServingStatus {
        match self.knows(service) {
            false => ServingStatus::ServiceUnknown,
            true if self.asked.ready().await.0 => ServingStatus::Serving,
            true => ServingStatus::NotServing,
        }
    }
}

#[tonic::async_trait]
impl Health for Answers {
    async fn check(&self, request: Request<HealthCheckRequest>) -> Result<Response<HealthCheckResponse>, Status> {
        let service = request.into_inner().service;
        if !self.knows(&service) {
            return Err(Status::not_found("no service of this name here"));
        }
        Ok(Response::new(said(self.now(&service).await)))
    }

    type WatchStream = Pin<Box<dyn Stream<Item = Result<HealthCheckResponse, Status>> + Send>>;

    /// The state now, and whenever it is another.
    async fn watch(&self, request: Request<HealthCheckRequest>) -> Result<Response<Self::WatchStream>, Status> {
        let service = request.into_inner().service;
        let changes = unfold((self.clone(), service, None), async |(answers, service, mut last)| {
            loop {
                let now = answers.now(&service).await;
                if last.replace(now) != Some(now) {
                    return Some((Ok(said(now)), (answers, service, last)));
                }
                // Nothing more is to come, and a stream that stays open would hold up the end.
                if within(&Machine, LOOK, answers.asked.ends()).await.is_some() && now != ServingStatus::Serving {
                    return None;
                }
            }
        });
        Ok(Response::new(Box::pin(changes)))
    }
}

fn said(status: ServingStatus) -> HealthCheckResponse {
    HealthCheckResponse { status: status.into() }
}
