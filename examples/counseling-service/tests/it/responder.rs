//! A scripted responder that records its prompts.
use counseling_service::{
    Responder,
    application::ports::{NoReply, Prompt},
};
use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
};
use tokio::sync::oneshot::Receiver;

/// The behaviour of one call.
pub(crate) enum Step {
    Fail,
    Say(&'static str),
    /// Waits until the test sends the reply.
    Wait(Receiver<&'static str>),
}

/// Runs the steps in order. After the last step it replies with the number of the call.
#[derive(Default)]
pub(crate) struct Scripted {
    state: Mutex<State>,
    is_language_model: bool,
}
#[derive(Default)]
struct State {
    script: VecDeque<Step>,
    prompts: Vec<Prompt>,
}
impl Scripted {
    /// Creates a responder that passes for a language model.
    pub(crate) fn language_model() -> Self {
        Scripted { is_language_model: true, ..Scripted::default() }
    }
    pub(crate) fn then(&self, step: Step) {
        self.state().script.push_back(step);
    }
    /// Returns the received prompts in order.
    pub(crate) fn prompts(&self) -> Vec<Prompt> {
        self.state().prompts.clone()
    }
    pub(crate) fn count(&self) -> usize {
        self.state().prompts.len()
    }
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
#[tonic::async_trait]
impl Responder for Scripted {
    async fn respond(&self, prompt: &Prompt) -> Result<String, NoReply> {
        let (step, count) = {
            let mut state = self.state();
            state.prompts.push(prompt.clone());
            (state.script.pop_front(), state.prompts.len())
        };
        match step {
            None => Ok(format!("답장 {count}")),
            Some(Step::Say(text)) => Ok(text.to_owned()),
            Some(Step::Fail) => Err(NoReply("the model is down".to_owned())),
            Some(Step::Wait(reply)) => reply.await.map(str::to_owned).map_err(|_| NoReply("gone".to_owned())),
        }
    }
    fn is_language_model(&self) -> bool {
        self.is_language_model
    }
}
