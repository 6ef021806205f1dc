//! A counseling service that publishes the events a test needs, and records those it receives.
use contracts::v1::{
    message::{CounselReplied, CounselReplyFailed, TokensSpent, UserRegistered, UserUpdated},
    model::AuthChannel,
};
use cqrs_core::{
    Aggregate, App, AppBuilder, BoxError, Clock, Command, Dep, Event, Evolve, HandlerResult, Infallible, Recorded,
    Repo, StateStored, handler, publish, subscriber,
};
use serde::{Deserialize, Serialize};
use std::sync::{Arc, Mutex};
use uuid::Uuid;

pub(crate) fn app(received: Arc<ReceivedEvents>) -> AppBuilder {
    App::builder("counseling").discover_part(module_path!()).aggregate(StateStored::<Report>::new()).provide(received)
}

#[derive(Clone, Serialize, Deserialize, Aggregate)]
#[aggregate(name = "report", event = Reported)]
struct Report {
    #[id]
    id: Uuid,
}
#[derive(Clone, Serialize, Deserialize, Event)]
#[event(name = "reported", version = 1)]
struct Reported {
    user: String,
    exchange: Uuid,
    outcome: Outcome,
}
impl Evolve<Reported> for Report {
    fn create(id: Uuid, _: &Reported) -> Option<Self> {
        Some(Report { id })
    }
    fn apply(&mut self, _: &Reported) {}
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) enum Outcome {
    Replied,
    /// A reply that costs nothing.
    RepliedFree {
        attempt: i32,
    },
    Failed {
        attempt: i32,
    },
}

/// Publishes the outcome of an exchange.
#[derive(Clone, Serialize, Deserialize, Command)]
pub(crate) struct ReportOutcome {
    pub(crate) user: String,
    pub(crate) exchange: Uuid,
    pub(crate) outcome: Outcome,
}
#[handler]
async fn report_outcome(command: ReportOutcome, reports: Repo<Report>, clock: Clock) -> HandlerResult<(), Infallible> {
    let ReportOutcome { user, exchange, outcome } = command;
    reports.create(clock.id(), Reported { user, exchange, outcome })?;
    Ok(())
}

#[publish]
fn replied(reported: &Reported) -> Option<CounselReplied> {
    let (user_id, exchange_id) = (reported.user.clone(), reported.exchange.to_string());
    let replied = CounselReplied { user_id, exchange_id, ..Default::default() };
    match reported.outcome {
        Outcome::Replied => Some(replied),
        Outcome::RepliedFree { attempt } => {
            Some(CounselReplied { is_free: Some(true), attempt: Some(attempt), ..replied })
        }
        Outcome::Failed { .. } => None,
    }
}
#[publish]
fn failed(reported: &Reported) -> Option<CounselReplyFailed> {
    let Outcome::Failed { attempt } = reported.outcome else { return None };
    let (user_id, exchange_id) = (reported.user.clone(), reported.exchange.to_string());
    Some(CounselReplyFailed { user_id, exchange_id, attempt, ..Default::default() })
}

/// The received events, one line each.
#[derive(Default)]
pub(crate) struct ReceivedEvents(Mutex<Vec<String>>);
impl ReceivedEvents {
    fn record(&self, what: String) -> Result<(), BoxError> {
        self.0.lock().map_err(|_| "the lock is poisoned")?.push(what);
        Ok(())
    }
    pub(crate) fn events(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}
#[subscriber(group = "counseling.events")]
async fn user_registered(event: Recorded<UserRegistered>, received: Dep<ReceivedEvents>) -> Result<(), BoxError> {
    received.record(format!("registered {}", event.user_id))
}
#[subscriber(group = "counseling.events")]
async fn user_updated(event: Recorded<UserUpdated>, received: Dep<ReceivedEvents>) -> Result<(), BoxError> {
    received.record(match event.auth_channel() {
        AuthChannel::Unspecified => format!("updated {}", event.user_id),
        channel => format!("updated {} {}", event.user_id, channel.as_str_name()),
    })
}
#[subscriber(group = "counseling.events")]
async fn tokens_spent(event: Recorded<TokensSpent>, received: Dep<ReceivedEvents>) -> Result<(), BoxError> {
    received.record(format!("consumed {} left {}", event.exchange_id, event.remaining_tokens))
}
