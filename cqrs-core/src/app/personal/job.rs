//! The background job of personal data: drops keys that were read some time ago, and goes on with interrupted erasures.
use crate::{
    app::{App, background::Job},
    job::Step,
    personal::CACHED_FOR,
};

/// The job of an app with personal data.
#[derive(Debug)]
pub(crate) struct PersonalJob {
    app: App,
    /// Set once the erasures that an earlier process did not finish are done.
    has_finished: bool,
}
impl App {
    /// Returns the job, if the app has personal data.
    pub(crate) fn personal_job(&self) -> Option<PersonalJob> {
        self.runtime.personal.is_some().then(|| PersonalJob { app: self.clone(), has_finished: false })
    }
}
#[async_trait::async_trait]
impl Job for PersonalJob {
    fn name(&self) -> String {
        "personal data".to_owned()
    }
    async fn step(&mut self) -> Result<Step, crate::BoxError> {
        if !self.has_finished {
            self.app.finish_forgetting().await?;
            self.has_finished = true;
        }
        if let Some(personal) = &self.app.runtime.personal {
            personal.keys.expire();
        }
        Ok(Step::Paused(CACHED_FOR))
    }
}
