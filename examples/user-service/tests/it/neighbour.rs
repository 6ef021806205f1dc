//! A counseling service that says what a test wants said, and remembers what it was told.
use contracts::v1::message::{CounselReplied, CounselReplyFailed, TokensSpent, UserRegistered, UserUpdated};
use cqrs_core::{
    Aggregate, App, BoxError, Clock, Command, Dep, Event, Evolve, Never, Recorded, Repo, Result, Rows, handler,
    publish, subscriber,
};
use serde::{Deserialize, Serialize};
use std::sync::{Arc, Mutex};
use uuid::Uuid;

pub(crate) fn app(ears: Arc<Ears>) -> App {
    App::new("counseling").discover(module_path!()).aggregate(Rows::<Said>::new()).provide(ears)
}

#[derive(Clone, Serialize, Deserialize, Aggregate)]
#[aggregate(name = "said", event = Told)]
struct Said {
    #[id]
    id: Uuid,
}
#[derive(Clone, Serialize, Deserialize, Event)]
#[event(name = "told", version = 1)]
struct Told {
    id: Uuid,
    user: String,
    exchange: Uuid,
    outcome: Outcome,
}
impl Evolve<Told> for Said {
    fn create(told: &Told) -> Option<Self> {
        Some(Said { id: told.id })
    }
    fn apply(&mut self, _: &Told) {}
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) enum Outcome {
    Replied,
    Failed { attempt: i32 },
}

/// Says this of an exchange.
#[derive(Clone, Serialize, Deserialize, Command)]
pub(crate) struct Tell {
    pub(crate) user: String,
    pub(crate) exchange: Uuid,
    pub(crate) outcome: Outcome,
}
#[handler]
async fn tell(tell: Tell, said: Repo<Said>, clock: Clock) -> Result<(), Never> {
    let Tell { user, exchange, outcome } = tell;
    said.create(Told { id: clock.id(), user, exchange, outcome })?;
    Ok(())
}

#[publish]
fn replied(told: &Told) -> Option<CounselReplied> {
    let (user_id, exchange_id) = (told.user.clone(), told.exchange.to_string());
    matches!(told.outcome, Outcome::Replied).then(|| CounselReplied { user_id, exchange_id, ..Default::default() })
}
#[publish]
fn failed(told: &Told) -> Option<CounselReplyFailed> {
    let Outcome::Failed { attempt } = told.outcome else { return None };
    let (user_id, exchange_id) = (told.user.clone(), told.exchange.to_string());
    Some(CounselReplyFailed { user_id, exchange_id, attempt, ..Default::default() })
}

/// What it was told, as `what user`.
#[derive(Default)]
pub(crate) struct Ears(Mutex<Vec<String>>);
impl Ears {
    fn hear(&self, what: String) -> std::result::Result<(), BoxError> {
        self.0.lock().map_err(|_| "broken ears")?.push(what);
        Ok(())
    }
    pub(crate) fn heard(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}
#[subscriber(group = "counseling.ears")]
async fn hear_registered(event: Recorded<UserRegistered>, ears: Dep<Ears>) -> std::result::Result<(), BoxError> {
    ears.hear(format!("registered {}", event.user_id))
}
#[subscriber(group = "counseling.ears")]
async fn hear_updated(event: Recorded<UserUpdated>, ears: Dep<Ears>) -> std::result::Result<(), BoxError> {
    ears.hear(format!("updated {}", event.user_id))
}
#[subscriber(group = "counseling.ears")]
async fn hear_spent(event: Recorded<TokensSpent>, ears: Dep<Ears>) -> std::result::Result<(), BoxError> {
    ears.hear(format!("spent {} left {}", event.exchange_id, event.remaining_tokens))
}
