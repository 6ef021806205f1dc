//! The redelivery of many parked messages: by reader, by error, or all.
use super::selection::{Counts, SelectedKeys};
use crate::{
    app::{ParkedCount, ParkedMessages, ParkedSelection, SelectionError},
    consumer::parking::{FailureKind, failure_kind},
    error::{ErrorKind, Fault, describe},
    metadata::Metadata,
    storage::{CommitError, Parked, ParkedKey},
};
use std::time::Duration;

/// The number of attempts at a message that fails because a component is busy or another process was faster.
const ATTEMPTS: u32 = 3;
/// The wait before the second attempt. It doubles with each further one.
const WAIT: Duration = Duration::from_millis(100);

/// A redelivery of many parked messages, from [`ParkedMessages::redeliver_selected`].
///
/// The messages of a key are handled in order. Each message's effect and its removal are committed in one batch, so handled
/// messages stay handled whenever the redelivery ends: with an error, with the drop of a future, or with the process.
/// A key whose message fails stays parked from that message on, and the redelivery goes on with the next key. The memory
/// does not grow with the number of messages.
///
/// ```
/// # use cqrs_core::{App, Metadata, app::ParkedSelection};
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// # let app = App::builder("user").build().unwrap();
/// let me = Metadata::default().caller("kim, on call");
/// let mut redelivery = app.parked().redeliver_selected(ParkedSelection::default(), Some(100), &me).await.unwrap();
/// while redelivery.step().await.unwrap() {
///     let progress = redelivery.progress();
///     println!("{} done, {} left, {:.0} per second", progress.done, progress.left, progress.per_second);
/// }
/// # });
/// ```
#[derive(Debug)]
#[must_use = "it redelivers nothing unless `step` or `run_until` is called"]
pub struct BulkRedelivery {
    parked: ParkedMessages,
    by: Metadata,
    keys: SelectedKeys,
    current: Option<CurrentKey>,
    /// The time between two messages.
    interval: Duration,
    /// The uptime from which the next message may be handled.
    next_at: Duration,
    started: Duration,
    done: u64,
    /// The messages that were selected at the start and belong to keys that are not finished.
    selected: u64,
    failed_keys: u64,
    failures: Counts,
    finished: Option<(String, String)>,
    is_finished: bool,
}
/// The key whose messages are being handled.
#[derive(Debug)]
struct CurrentKey {
    key: ParkedKey,
    /// The number of the last handled message.
    after: u64,
    handled: u64,
}

/// The progress of a [`BulkRedelivery`].
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct BulkProgress {
    /// The number of handled messages.
    pub done: u64,
    /// The number of messages that were selected at the start and not tried yet. Messages that are parked later are
    /// handled with their key as well, but do not count.
    pub left: u64,
    /// The number of keys that stay parked, because a message of them failed or cannot be read.
    pub failed_keys: u64,
    /// The failed keys by reader and class of the new error, with the messages that stay parked. At most 100 classes of
    /// a reader are counted apart.
    pub failures: Vec<ParkedCount>,
    /// The handled messages per second, on average.
    pub per_second: f64,
    /// The time since the start.
    pub elapsed: Duration,
    /// The reader and key of the last key that is finished, for [`ParkedSelection::after`]. A redelivery that begins
    /// there does not try the failed keys before it again.
    pub after: Option<(String, String)>,
    /// Whether every selected key was tried.
    pub is_finished: bool,
}

impl ParkedMessages {
    /// Begins to redeliver the selected messages, at most `rate` per second (`None`: as fast as they are handled). It
    /// counts the selected messages and handles none yet. `by` is the operator, for the audit events in the log.
    ///
    /// Handled messages are not parked any more, so a redelivery that was stopped is resumed by beginning it again.
    /// Messages that arrive meanwhile wait behind those of their key and are handled as well, so a rate below that at
    /// which messages of one selected key arrive does not get past that key.
    ///
    /// # Errors
    /// Fails when the selection names an unknown reader or contradicts itself, when the rate is 0, and when the database
    /// fails.
    pub async fn redeliver_selected(
        &self,
        selection: ParkedSelection,
        rate: Option<u32>,
        by: &Metadata,
    ) -> Result<BulkRedelivery, SelectionError> {
        let interval = match rate {
            Some(0) => return Err(SelectionError::ZeroRate),
            Some(rate) => Duration::from_secs(1) / rate,
            None => Duration::ZERO,
        };
        let selected = self.count(&selection).await?.iter().map(|count| count.messages).sum();
        let now = self.app.runtime.environment.uptime();
        Ok(BulkRedelivery {
            parked: self.clone(),
            by: by.clone(),
            keys: SelectedKeys::new(&selection),
            current: None,
            interval,
            next_at: now,
            started: now,
            done: 0,
            selected,
            failed_keys: 0,
            failures: Counts::default(),
            finished: selection.after,
            is_finished: false,
        })
    }
}

impl BulkRedelivery {
    /// Waits as the rate demands and tries the next message. Returns `false` when every selected key was tried.
    ///
    /// The future may be dropped at any point: the message was handled and removed then, or neither. The next call goes
    /// on.
    ///
    /// # Errors
    /// Fails when the database fails. The next call goes on.
    pub async fn step(&mut self) -> Result<bool, Fault> {
        self.wait().await;
        self.handle_next().await
    }
    /// Handles the messages until every selected key was tried, or until `stop` completes. Then it finishes the message in
    /// progress. `report` gets the progress after each message, so it should be fast.
    ///
    /// # Errors
    /// Fails when the database fails. Another call goes on.
    pub async fn run_until(
        &mut self,
        stop: impl Future<Output = ()>,
        mut report: impl FnMut(&Self),
    ) -> Result<BulkProgress, Fault> {
        let mut stop = std::pin::pin!(stop);
        loop {
            tokio::select! {
                biased;
                () = &mut stop => break,
                () = self.wait() => (),
            }
            if !self.handle_next().await? {
                break;
            }
            report(self);
        }
        Ok(self.progress())
    }
    /// Returns the progress.
    pub fn progress(&self) -> BulkProgress {
        let elapsed = self.parked.app.runtime.environment.uptime().saturating_sub(self.started);
        let handled = self.current.as_ref().map_or(0, |current| current.handled.min(current.key.count));
        BulkProgress {
            done: self.done,
            left: self.selected.saturating_sub(handled),
            failed_keys: self.failed_keys,
            failures: self.failures.list(),
            per_second: if elapsed.is_zero() { 0.0 } else { self.done as f64 / elapsed.as_secs_f64() },
            elapsed,
            after: self.finished.clone(),
            is_finished: self.is_finished,
        }
    }

    /// Waits until the rate allows the next message.
    async fn wait(&self) {
        let environment = &self.parked.app.runtime.environment;
        let wait = self.next_at.saturating_sub(environment.uptime());
        if !wait.is_zero() {
            environment.sleep(wait).await;
        }
    }
    async fn handle_next(&mut self) -> Result<bool, Fault> {
        loop {
            if self.current.is_none() {
                let Some(key) = self.keys.next(&self.parked).await? else {
                    (self.is_finished, self.selected) = (true, 0);
                    return Ok(false);
                };
                self.current = Some(CurrentKey { key, after: 0, handled: 0 });
            }
            let Some(current) = &self.current else { continue };
            let (reader, key) = (&*current.key.reader, &*current.key.key);
            let Some(message) = self.parked.show(reader, key, current.after, 1).await?.pop() else {
                self.finish_key();
                continue;
            };
            // A message does not make up for the time that earlier ones have taken.
            let next_at = self.next_at.max(self.parked.app.runtime.environment.uptime()) + self.interval;
            let tried = self.try_message(reader, key, &message).await?;
            self.next_at = next_at;
            self.note(&message, tried);
            return Ok(true);
        }
    }
    /// Tries the message, and again after a failure that may pass.
    async fn try_message(&self, reader: &str, key: &str, message: &Parked) -> Result<Tried, Fault> {
        let environment = &self.parked.app.runtime.environment;
        let (mut attempt, mut is_known) = (1, true);
        loop {
            let Err(rejected) = self.parked.redeliver_one(reader, key, message, &self.by).await else {
                return Ok(Tried::Handled);
            };
            let is_gone = async || {
                let found = self.parked.show(reader, key, message.number.saturating_sub(1), 1).await?.pop();
                Ok::<_, Fault>(found.is_none_or(|found| found.number != message.number))
            };
            // The response of a commit may be lost, or another redelivery may have been faster.
            is_known &= !matches!(&rejected, CommitError::Fault(fault) if fault.kind() == ErrorKind::OutcomeUnknown);
            if matches!(rejected, CommitError::Moved(_) | CommitError::Fault(_)) && is_gone().await? {
                return Ok(if is_known { Tried::Gone } else { Tried::Handled });
            }
            if failure_kind(&rejected) != FailureKind::Transient || attempt == ATTEMPTS {
                return Ok(Tried::Failed(describe(&rejected)));
            }
            environment.sleep(WAIT * 2_u32.pow(attempt - 1)).await;
            attempt += 1;
        }
    }
    fn note(&mut self, message: &Parked, tried: Tried) {
        let Some(current) = &mut self.current else { return };
        match tried {
            Tried::Handled => {
                self.done += 1;
                (current.after, current.handled) = (message.number, current.handled + 1);
            }
            Tried::Gone => (current.after, current.handled) = (message.number, current.handled + 1),
            Tried::Failed(error) => {
                let (reader, key) = (&*current.key.reader, &*current.key.key);
                tracing::warn!(reader, key, error, "a parked message fails again; it stays parked with the later ones");
                self.failed_keys += 1;
                let left = current.key.count.saturating_sub(current.handled).max(1);
                self.failures.add(reader, key, &error, left);
                self.finish_key();
            }
        }
    }
    fn finish_key(&mut self) {
        let Some(CurrentKey { key, .. }) = self.current.take() else { return };
        self.selected = self.selected.saturating_sub(key.count);
        self.finished = Some((key.reader, key.key));
    }
}

/// The result of a redelivered message.
enum Tried {
    Handled,
    /// Another redelivery or a discard has removed it.
    Gone,
    Failed(String),
}
