//! A service that records the integration events of the counseling service, and publishes those of the user service.
use contracts::v1::message::{
    CounselCreated, CounselMessageCreated, CounselReplied, CounselReplyFailed, UserRegistered, UserUpdated,
};
use cqrs_core::{
    Aggregate, App, AppBuilder, BoxError, Clock, Command, Dep, Event, Evolve, HandlerResult, Infallible,
    IntegrationEvent, Recorded, Repo, StateStored, handler, publish, subscriber,
};
use serde::{Deserialize, Serialize};
use std::sync::{Arc, Mutex, PoisonError};
use uuid::Uuid;

pub(crate) fn app(received: Arc<ReceivedEvents>) -> AppBuilder {
    App::builder("neighbour").discover(module_path!()).aggregate(StateStored::<Report>::new()).provide(received)
}

#[derive(Clone, Serialize, Deserialize, Aggregate)]
#[aggregate(name = "report", event = Reported)]
struct Report {
    #[id]
    id: Uuid,
}
/// An event of the user service.
#[derive(Debug, Clone, Serialize, Deserialize, Event)]
#[event(name = "reported", version = 1)]
pub(crate) enum Reported {
    Registered {
        user: Uuid,
        nickname: String,
    },
    /// Without a nickname, as an older user service publishes it.
    Updated {
        user: Uuid,
        nickname: Option<String>,
    },
}
impl Evolve<Reported> for Report {
    fn create(id: Uuid, _: &Reported) -> Option<Self> {
        Some(Report { id })
    }
    fn apply(&mut self, _: &Reported) {}
}

/// Publishes an event of the user service.
#[derive(Clone, Serialize, Deserialize, Command)]
pub(crate) struct ReportUser(pub(crate) Reported);
#[handler]
async fn report_user(command: ReportUser, reports: Repo<Report>, clock: Clock) -> HandlerResult<(), Infallible> {
    reports.create(clock.id(), command.0)?;
    Ok(())
}
#[publish]
fn user_registered(event: &Recorded<Reported>) -> Option<UserRegistered> {
    let Reported::Registered { user, nickname } = event.event.clone() else { return None };
    Some(UserRegistered { user_id: user.to_string(), nickname, occurred_at: String::new() })
}
#[publish]
fn user_updated(event: &Recorded<Reported>) -> Option<UserUpdated> {
    let Reported::Updated { user, nickname } = event.event.clone() else { return None };
    Some(UserUpdated { user_id: user.to_string(), nickname, ..UserUpdated::default() })
}

/// The received events, one line each.
#[derive(Default)]
pub(crate) struct ReceivedEvents(Mutex<Vec<String>>);
impl ReceivedEvents {
    fn record(&self, what: String) -> Result<(), BoxError> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(what);
        Ok(())
    }
    pub(crate) fn events(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[subscriber(group = "neighbour.events")]
async fn created(event: Recorded<CounselCreated>, received: Dep<ReceivedEvents>) -> Result<(), BoxError> {
    received.record(format!("created by {}", event.user_id))
}
#[subscriber(group = "neighbour.events")]
async fn message(event: Recorded<CounselMessageCreated>, received: Dep<ReceivedEvents>) -> Result<(), BoxError> {
    let who = if event.is_user_message { "person" } else { "counselor" };
    received.record(format!("{who} said {:?} in the order of {}", event.message, event.key()))
}
#[subscriber(group = "neighbour.events")]
async fn replied(event: Recorded<CounselReplied>, received: Dep<ReceivedEvents>) -> Result<(), BoxError> {
    let price = if event.is_free() { format!(" free of attempt {}", event.attempt()) } else { String::new() };
    received.record(format!("replied {}{price}", event.exchange_id))
}
#[subscriber(group = "neighbour.events")]
async fn failed(event: Recorded<CounselReplyFailed>, received: Dep<ReceivedEvents>) -> Result<(), BoxError> {
    received.record(format!("failed {} attempt {}: {}", event.exchange_id, event.attempt, event.reason))
}
