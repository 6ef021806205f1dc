//! A service that remembers what counseling tells it.
use contracts::v1::message::{CounselCreated, CounselMessageCreated, CounselReplied, CounselReplyFailed};
use cqrs_core::{App, BoxError, Dep, Recorded, subscriber};
use std::sync::{Arc, Mutex, PoisonError};

pub(crate) fn app(ears: Arc<Ears>) -> App {
    App::new("neighbour").discover(module_path!()).provide(ears)
}

/// What it was told, one line each.
#[derive(Default)]
pub(crate) struct Ears(Mutex<Vec<String>>);
impl Ears {
    fn hear(&self, what: String) -> Result<(), BoxError> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(what);
        Ok(())
    }
    pub(crate) fn heard(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[subscriber(group = "neighbour.ears")]
async fn created(event: Recorded<CounselCreated>, ears: Dep<Ears>) -> Result<(), BoxError> {
    ears.hear(format!("created by {}", event.user_id))
}
#[subscriber(group = "neighbour.ears")]
async fn message(event: Recorded<CounselMessageCreated>, ears: Dep<Ears>) -> Result<(), BoxError> {
    let who = if event.is_user_message { "person" } else { "counselor" };
    ears.hear(format!("{who} said {}", event.message))
}
#[subscriber(group = "neighbour.ears")]
async fn replied(event: Recorded<CounselReplied>, ears: Dep<Ears>) -> Result<(), BoxError> {
    ears.hear(format!("replied {}", event.exchange_id))
}
#[subscriber(group = "neighbour.ears")]
async fn failed(event: Recorded<CounselReplyFailed>, ears: Dep<Ears>) -> Result<(), BoxError> {
    ears.hear(format!("failed {} attempt {}: {}", event.exchange_id, event.attempt, event.reason))
}
