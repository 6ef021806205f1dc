//! The job that redelivers the messages which other programs have left, once this program is the newest one.
use crate::{
    app::App,
    app::background::Job,
    consumer::is_left,
    consumer::parking::{FailureKind, failure_kind},
    environment::backoff,
    error::{BoxError, Fault, describe},
    job::Step,
    metadata::Metadata,
    storage::{CommitError, LEFT_TO_NEWER_PROGRAM},
};
use std::{collections::HashMap, time::Duration};

/// The largest number of keys that one step redelivers.
const KEYS: usize = 100;
/// The interval at which a program looks for messages that an older one has left to it.
const INTERVAL: Duration = Duration::from_secs(1);
/// The longest time until a key is tried again whose message cannot be handled.
const LONGEST_INTERVAL: Duration = Duration::from_secs(300);
/// The reader whose lease the job holds. Several replicas would repeat the outside effects of subscribers.
const LEASE: &str = "left messages";

impl App {
    /// Returns the job that redelivers the messages which an older program has left to this one, and those that were parked
    /// before a circuit breaker opened. [`App::start`] runs it; a caller that starts the parts by itself runs its steps.
    pub fn left_messages(&self) -> LeftMessages {
        let owner = self.runtime.environment.id().to_string();
        LeftMessages { app: self.clone(), owner, failed: HashMap::new() }
    }
}

/// The background job that redelivers the messages which an older program has left to this one, in one replica at a time,
/// and those that were parked before a circuit breaker opened in this process.
#[must_use = "it does nothing unless `step` is called"]
#[derive(Debug)]
pub struct LeftMessages {
    app: App,
    /// The holder of this job's lease.
    owner: String,
    /// The keys whose redelivery has failed, with the number of failures and the uptime of the next attempt.
    failed: HashMap<(String, String), (u32, Duration)>,
}
impl LeftMessages {
    /// Redelivers the keys that are left to this program, if it is the newest one of the service and holds the lease, and
    /// on every replica the keys that were parked before a circuit breaker opened in this process and whose reader has
    /// succeeded since.
    ///
    /// A message that this program can never handle, because a newer one was withdrawn, is parked with that error as the
    /// reason. It then waits for an operator like any other parked message.
    ///
    /// # Errors
    /// Fails when the database fails. Call it again.
    pub async fn step(&mut self) -> Result<Step, Fault> {
        let recovered = self.app.parked().redeliver_recovered().await;
        match self.redeliver().await? + recovered {
            0 => Ok(Step::Paused(INTERVAL)),
            done => Ok(Step::Did(done)),
        }
    }
    async fn redeliver(&mut self) -> Result<usize, Fault> {
        let (app, owner) = (&self.app, &self.owner);
        let (runtime, storage) = (&app.runtime, app.storage());
        let environment = &*runtime.environment;
        runtime.newer_programs.refresh(&**storage, environment).await?;
        if runtime.newer_programs.is_withdrawn() {
            app.declare_anew().await?;
        }
        if !runtime.newer_programs.is_newest() {
            return Ok(0);
        }
        let keys = storage.left_to_newer_program(KEYS).await?;
        let due = |key: &(String, String)| self.failed.get(key).is_none_or(|(_, next)| *next <= environment.uptime());
        let keys: Vec<_> = keys.into_iter().filter(due).collect();
        if keys.is_empty() {
            return Ok(0);
        }
        if !storage.is_exclusive() && storage.lease(LEASE, owner, runtime.lease).await?.is_none() {
            return Ok(0);
        }
        let parked = app.parked();
        let Some(session) = parked.try_session().await? else { return Ok(0) };
        let mut done = 0;
        let by = Metadata::default().caller("a newer program");
        for key in keys {
            let (reader, of) = (&*key.0, &*key.1);
            let error = match parked.redeliver_key(&session, reader, of, &by, false).await {
                Ok(redelivery) => {
                    let messages = redelivery.count as usize;
                    tracing::info!(reader, key = of, messages, "handled messages that another program has left");
                    done += messages;
                    match redelivery.stopped {
                        Some((message, error)) => match self.park(&key, message.number, &error).await? {
                            true => {
                                done += 1;
                                None
                            }
                            false => Some(describe(&*error)),
                        },
                        None => None,
                    }
                }
                Err(fault) => Some(describe(&fault)),
            };
            let Some(error) = error else {
                self.failed.remove(&key);
                continue;
            };
            tracing::warn!(reader, key = of, error, "a message that another program has left cannot be handled");
            let (failures, next) = self.failed.entry(key).or_default();
            *next = environment.uptime() + backoff(environment, *failures, INTERVAL, LONGEST_INTERVAL);
            *failures += 1;
        }
        Ok(done)
    }
    /// Replaces the error of a message that this program can never handle, so that it waits for an operator. Returns whether
    /// it did.
    async fn park(&self, (reader, key): &(String, String), number: u64, error: &BoxError) -> Result<bool, Fault> {
        // A program that was declared meanwhile may handle it.
        if !is_final(error) || !self.app.runtime.is_newest_program().await? {
            return Ok(false);
        }
        let reason = describe(&**error);
        let is_parked = self.app.storage().replace_parked_error(number, LEFT_TO_NEWER_PROGRAM, &reason).await?;
        if is_parked {
            tracing::error!(
                reader,
                key,
                error = reason,
                "a message that another program has left stays parked with the later ones of its key: redeliver it when a \
                 program handles it, or discard it"
            );
        }
        Ok(is_parked)
    }
}
#[async_trait::async_trait]
impl Job for LeftMessages {
    fn name(&self) -> String {
        "left messages".to_owned()
    }
    async fn step(&mut self) -> Result<Step, crate::BoxError> {
        Ok(LeftMessages::step(self).await?)
    }
}

/// Returns whether every attempt of this program fails with the error.
fn is_final(error: &BoxError) -> bool {
    let rejected = error.downcast_ref::<CommitError>();
    !is_left(&**error) && rejected.is_some_and(|rejected| failure_kind(rejected) == FailureKind::Permanent)
}
