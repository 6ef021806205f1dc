//! A service that records the integration events of the counseling service.
use contracts::v1::message::{CounselCreated, CounselMessageCreated, CounselReplied, CounselReplyFailed};
use cqrs_core::{App, AppBuilder, BoxError, Dep, Recorded, subscriber};
use std::sync::{Arc, Mutex, PoisonError};

pub(crate) fn app(received: Arc<ReceivedEvents>) -> AppBuilder {
    App::builder("neighbour").discover(module_path!()).provide(received)
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
    received.record(format!("{who} said {}", event.message))
}
#[subscriber(group = "neighbour.events")]
async fn replied(event: Recorded<CounselReplied>, received: Dep<ReceivedEvents>) -> Result<(), BoxError> {
    received.record(format!("replied {}", event.exchange_id))
}
#[subscriber(group = "neighbour.events")]
async fn failed(event: Recorded<CounselReplyFailed>, received: Dep<ReceivedEvents>) -> Result<(), BoxError> {
    received.record(format!("failed {} attempt {}: {}", event.exchange_id, event.attempt, event.reason))
}
