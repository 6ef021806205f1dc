//! The redelivery of many parked messages: by reader, by error, or all.
use super::{
    attempts::Session,
    selection::{Counts, SelectedKeys},
};
use crate::{
    app::{ParkedCount, ParkedMessages, ParkedSelection, SelectionError},
    consumer::parking::{FailureKind, failure_kind},
    environment::backoff,
    error::{ErrorKind, Fault, describe},
    metadata::Metadata,
    storage::{CommitError, Parked, ParkedKey},
};
use futures_util::{StreamExt, future::BoxFuture, stream::FuturesUnordered};
use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Duration,
};

/// The number of keys that are handled beside each other. The consumers of the same process go on meanwhile.
const CONCURRENT: usize = 8;
/// The largest number of keys that are remembered behind the first one that is not finished.
const BEGUN: usize = 1_000;
/// The longest wait while no message waits for the rate.
const IDLE: Duration = Duration::from_secs(3600);
/// The number of keys whose messages are counted at the start.
const COUNTED_AHEAD: u32 = 10_000;
/// The number up to which the messages of a key are counted.
const COUNTED_OF_KEY: usize = 10_000;
/// The number of attempts at a message that fails because a component is busy or another process was faster.
const ATTEMPTS: u32 = 3;
/// The wait before the second attempt. It doubles with each further one.
const WAIT: Duration = Duration::from_millis(100);
/// The number of further attempts after conflicts with other messages, and the first wait before one.
const CONFLICTS: u32 = 20;
const FIRST_WAIT: Duration = Duration::from_millis(2);

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
    /// The keys that were begun, from the first one that is not finished on.
    begun: BTreeMap<(String, String), BegunKey>,
    /// The record of the redelivery in the database, while it runs.
    session: Option<Arc<Session>>,
    /// The time between two messages.
    interval: Duration,
    /// The uptime from which the next message may be handled.
    next_at: Duration,
    started: Duration,
    done: u64,
    /// The messages that were selected and belong to keys that are not finished.
    selected: u64,
    /// Set unless a key has more messages than are counted.
    is_exact: bool,
    /// The last key that was counted at the start; `None` when all of them were.
    counted: Option<Name>,
    failed_keys: u64,
    failures: Counts,
    finished: Option<(String, String)>,
    is_finished: bool,
}
/// A key whose messages are being handled.
#[derive(Debug, Default)]
struct BegunKey {
    /// The number of its messages when it was selected.
    count: u64,
    /// The number of the last handled message.
    after: u64,
    handled: u64,
    is_finished: bool,
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
    /// Whether `left` counts all selected messages. At most 10,000 keys, and 10,000 messages of a key, are counted ahead, so
    /// that a redelivery begins soon beside any number of parked messages.
    pub is_counted: bool,
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
    /// counts the messages of the first 10,000 selected keys and handles none yet. `by` is the operator, for the audit events in the log.
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
        let (selected, is_exact, counted) = self.count_ahead(&selection).await?;
        let now = self.app.runtime.environment.uptime();
        Ok(BulkRedelivery {
            parked: self.clone(),
            by: by.clone(),
            keys: SelectedKeys::new(&selection, COUNTED_OF_KEY),
            begun: BTreeMap::new(),
            session: None,
            interval,
            next_at: now,
            started: now,
            done: 0,
            selected,
            is_exact,
            counted,
            failed_keys: 0,
            failures: Counts::default(),
            finished: selection.after,
            is_finished: false,
        })
    }
    /// Counts the messages of the first selected keys, and returns whether all of these were counted. Returns the last
    /// counted key as well, if there may be others.
    async fn count_ahead(&self, selection: &ParkedSelection) -> Result<(u64, bool, Option<Name>), SelectionError> {
        self.check(selection).await?;
        let (mut keys, mut messages) = (SelectedKeys::new(selection, COUNTED_OF_KEY), 0);
        let mut is_exact = true;
        for counted in 1.. {
            let Some(key) = keys.next(self).await? else { break };
            messages += key.count;
            is_exact &= key.count < COUNTED_OF_KEY as u64;
            if counted == COUNTED_AHEAD {
                return Ok((messages, is_exact, Some((key.reader, key.key))));
            }
        }
        Ok((messages, is_exact, None))
    }
}

impl BulkRedelivery {
    /// Waits as the rate demands and tries the next message. Returns `false` when every selected key was tried.
    ///
    /// The future may be dropped at any point: the message was handled and removed then, or neither. The next call goes
    /// on.
    ///
    /// # Errors
    /// Fails when the database fails, or when a process has died in a redelivery and another one redelivers meanwhile. The
    /// next call goes on.
    pub async fn step(&mut self) -> Result<bool, Fault> {
        self.run(std::future::pending(), |_| (), 1, true).await?;
        if self.is_finished {
            self.end_session().await;
        }
        Ok(!self.is_finished)
    }
    /// Handles the messages until every selected key was tried, or until `stop` completes. Then it finishes the messages in
    /// progress. Up to 8 keys are handled beside each other, each in order. `report` gets the progress after each message,
    /// so it should be fast.
    ///
    /// # Errors
    /// Fails as [`step`](BulkRedelivery::step) does, after the messages in progress. Another call goes on.
    pub async fn run_until(
        &mut self,
        stop: impl Future<Output = ()>,
        report: impl FnMut(&Self),
    ) -> Result<BulkProgress, Fault> {
        let ran = self.run(stop, report, CONCURRENT, false).await;
        // Before this returns, since the process may end then.
        self.end_session().await;
        ran.map(|()| self.progress())
    }
    /// Returns the progress.
    pub fn progress(&self) -> BulkProgress {
        let elapsed = self.parked.app.runtime.environment.uptime().saturating_sub(self.started);
        let handled: u64 =
            self.begun.values().filter(|key| !key.is_finished).map(|key| key.handled.min(key.count)).sum();
        BulkProgress {
            done: self.done,
            left: self.selected.saturating_sub(handled),
            is_counted: self.counted.is_none() && self.is_exact,
            failed_keys: self.failed_keys,
            failures: self.failures.list(),
            per_second: if elapsed.is_zero() { 0.0 } else { self.done as f64 / elapsed.as_secs_f64() },
            elapsed,
            after: self.finished.clone(),
            is_finished: self.is_finished,
        }
    }

    async fn end_session(&mut self) {
        if let Some(session) = self.session.take().and_then(Arc::into_inner) {
            session.end().await;
        }
    }
    /// Handles messages of up to `concurrent` keys at a time. Nothing is in progress before and after it, so that no message
    /// holds a connection while the caller does something else.
    async fn run(
        &mut self,
        stop: impl Future<Output = ()>,
        mut report: impl FnMut(&Self),
        concurrent: usize,
        once: bool,
    ) -> Result<(), Fault> {
        let session = match &self.session {
            Some(session) => session.clone(),
            None => self.session.insert(Arc::new(self.parked.session().await?)).clone(),
        };
        let environment = self.parked.app.runtime.environment.clone();
        let mut stop = std::pin::pin!(stop);
        let (mut is_stopping, mut failed, mut reads_page) = (false, None, false);
        let mut working: FuturesUnordered<BoxFuture<'static, Worked>> = FuturesUnordered::new();
        // Keys that were begun and have no message in progress.
        let mut idle: VecDeque<_> =
            self.begun.iter().filter(|(_, key)| !key.is_finished).map(|(name, _)| name.clone()).collect();
        // Messages that wait until the rate allows them.
        let mut read: VecDeque<(Name, Box<Parked>)> = VecDeque::new();
        loop {
            while !is_stopping && working.len() + read.len() < concurrent {
                let next = idle.pop_front();
                if next.is_none() && self.begun.len() >= BEGUN {
                    break;
                }
                if let Some(name) = next.or_else(|| self.begin_next_key()) {
                    working.push(self.read(name));
                } else if !reads_page && !self.keys.is_exhausted() {
                    // Beside the messages in progress, which may hold every connection.
                    let page = self.keys.read_page(&self.parked);
                    working.push(Box::pin(async move { Worked::Page(page.await) }));
                    reads_page = true;
                } else {
                    break;
                }
            }
            let now = environment.uptime();
            while !is_stopping
                && self.next_at <= now
                && let Some((name, message)) = read.pop_front()
            {
                // A message does not make up for the time that earlier ones have taken.
                self.next_at = self.next_at.max(now) + self.interval;
                working.push(self.try_message(session.clone(), name, message));
            }
            if working.is_empty() && (is_stopping || read.is_empty()) {
                break;
            }
            let wait = match read.is_empty() {
                true => IDLE,
                false => self.next_at.saturating_sub(environment.uptime()),
            };
            tokio::select! {
                biased;
                () = &mut stop, if !is_stopping => is_stopping = true,
                Some(worked) = working.next() => match worked {
                    Worked::Read(name, Ok(Some(message))) => read.push_back((name, message)),
                    Worked::Read(name, Ok(None)) => self.finish_key(&name),
                    Worked::Tried(name, message, Ok(tried)) => {
                        match self.note(&name, &message, tried) {
                            true => idle.push_front(name),
                            false => self.finish_key(&name),
                        }
                        report(self);
                        is_stopping |= once;
                    }
                    Worked::Page(Ok(page)) => {
                        self.keys.accept(page);
                        reads_page = false;
                    }
                    Worked::Page(Err(fault)) | Worked::Read(_, Err(fault)) | Worked::Tried(_, _, Err(fault)) => {
                        is_stopping = true;
                        failed.get_or_insert(fault);
                    }
                },
                () = environment.sleep(wait), if !is_stopping && !read.is_empty() => (),
            }
        }
        if !is_stopping {
            (self.is_finished, self.selected, self.counted, self.is_exact) = (true, 0, None, true);
        }
        failed.map_or(Ok(()), Err)
    }
    /// Begins the next key of the selection that was read already.
    fn begin_next_key(&mut self) -> Option<Name> {
        let ParkedKey { reader, key, count, .. } = self.keys.pop()?;
        let name = (reader, key);
        if self.counted.as_ref().is_some_and(|counted| name > *counted) {
            self.selected += count;
            self.is_exact &= count < COUNTED_OF_KEY as u64;
        }
        self.begun.insert(name.clone(), BegunKey { count, ..BegunKey::default() });
        Some(name)
    }
    fn read(&self, name: Name) -> BoxFuture<'static, Worked> {
        let (parked, after) = (self.parked.clone(), self.begun.get(&name).map_or(0, |key| key.after));
        Box::pin(async move {
            let found = parked.show(&name.0, &name.1, after, 1).await;
            Worked::Read(name, found.map(|mut found| found.pop().map(Box::new)))
        })
    }
    fn try_message(&self, session: Arc<Session>, name: Name, message: Box<Parked>) -> BoxFuture<'static, Worked> {
        let (parked, by) = (self.parked.clone(), self.by.clone());
        Box::pin(async move {
            let tried = try_message(&parked, &session, &name, &message, &by).await;
            Worked::Tried(name, message, tried)
        })
    }
    /// Records the result of a message. Returns whether its key goes on.
    fn note(&mut self, name: &Name, message: &Parked, tried: Tried) -> bool {
        let Some(key) = self.begun.get_mut(name) else { return false };
        let error = match tried {
            Tried::Failed(error) => error,
            handled => {
                self.done += u64::from(matches!(handled, Tried::Handled));
                (key.after, key.handled) = (message.number, key.handled + 1);
                return true;
            }
        };
        let (reader, of) = (&*name.0, &*name.1);
        tracing::warn!(reader, key = of, error, "a parked message fails again; it stays parked with the later ones");
        self.failed_keys += 1;
        self.failures.add(reader, of, &error, key.count.saturating_sub(key.handled).max(1));
        false
    }
    fn finish_key(&mut self, name: &Name) {
        if let Some(key) = self.begun.get_mut(name) {
            key.is_finished = true;
            self.selected = self.selected.saturating_sub(key.count);
        }
        // The place is the last key before which all keys are finished.
        while let Some(first) = self.begun.first_entry().filter(|first| first.get().is_finished) {
            self.finished = Some(first.remove_entry().0);
        }
    }
}

/// The reader and key.
type Name = (String, String);

enum Worked {
    Page(Result<Vec<ParkedKey>, Fault>),
    Read(Name, Result<Option<Box<Parked>>, Fault>),
    Tried(Name, Box<Parked>, Result<Tried, Fault>),
}

/// Tries the message, and again after a failure that may pass.
async fn try_message(
    parked: &ParkedMessages,
    session: &Session,
    (reader, key): &Name,
    message: &Parked,
    by: &Metadata,
) -> Result<Tried, Fault> {
    let environment = &*parked.app.runtime.environment;
    let (mut attempt, mut conflicts, mut is_known) = (1, 0, true);
    loop {
        let Err(rejected) = parked.redeliver_one(session, reader, key, message, by, false).await else {
            return Ok(Tried::Handled);
        };
        let is_gone = async || {
            let found = parked.show(reader, key, message.number.saturating_sub(1), 1).await?.pop();
            Ok::<_, Fault>(found.is_none_or(|found| found.number != message.number))
        };
        // The response of a commit may be lost, or another redelivery may have been faster.
        is_known &= !matches!(&rejected, CommitError::Fault(fault) if fault.kind() == ErrorKind::OutcomeUnknown);
        if matches!(rejected, CommitError::Moved(_) | CommitError::Fault(_)) && is_gone().await? {
            return Ok(if is_known { Tried::Gone } else { Tried::Handled });
        }
        // The messages of other keys change the same data at the same time.
        if matches!(rejected, CommitError::Conflict { exists: false, .. }) && conflicts < CONFLICTS {
            environment.sleep(backoff(environment, conflicts, FIRST_WAIT, WAIT)).await;
            conflicts += 1;
            continue;
        }
        if failure_kind(&rejected) != FailureKind::Transient || attempt == ATTEMPTS {
            return Ok(Tried::Failed(describe(&rejected)));
        }
        environment.sleep(WAIT * 2_u32.pow(attempt - 1)).await;
        attempt += 1;
    }
}

/// The result of a redelivered message.
enum Tried {
    Handled,
    /// Another redelivery or a discard has removed it.
    Gone,
    Failed(String),
}
