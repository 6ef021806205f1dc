//! A responder that does as told, and counts.
use counseling_service::{
    Responder,
    application::ports::{NoReply, Prompt},
};
use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
};
use tokio::sync::oneshot::Receiver;

/// What it does when asked next.
pub(crate) enum Step {
    Fail,
    Say(&'static str),
    /// Nothing, until it hears what to say.
    Wait(Receiver<&'static str>),
}

/// Does these steps; with none left it counts its replies.
#[derive(Default)]
pub(crate) struct Scripted(Mutex<State>);
#[derive(Default)]
struct State {
    script: VecDeque<Step>,
    asked: Vec<Prompt>,
}
impl Scripted {
    pub(crate) fn then(&self, step: Step) {
        self.state().script.push_back(step);
    }
    /// What it was asked, in order.
    pub(crate) fn asked(&self) -> Vec<Prompt> {
        self.state().asked.clone()
    }
    pub(crate) fn count(&self) -> usize {
        self.state().asked.len()
    }
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
#[tonic::async_trait]
impl Responder for Scripted {
    async fn respond(&self, prompt: &Prompt) -> Result<String, NoReply> {
        let (step, count) = {
            let mut state = self.state();
            state.asked.push(prompt.clone());
            (state.script.pop_front(), state.asked.len())
        };
        match step {
            None => Ok(format!("답장 {count}")),
            Some(Step::Say(text)) => Ok(text.to_owned()),
            Some(Step::Fail) => Err(NoReply("the model is down".to_owned())),
            Some(Step::Wait(words)) => words.await.map(str::to_owned).map_err(|_| NoReply("gone".to_owned())),
        }
    }
}
