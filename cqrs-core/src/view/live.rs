//! Live queries: the first answer of a query, and an update whenever the answer has changed.
use crate::{
    codec,
    error::Fault,
    position::Position,
    runtime::{QuerySide, ViewChanges},
    storage::ParkedPage,
    view::{
        Answers, Range, View, Views,
        page::{Cursor, Page},
        resume_token::{ResumeToken, digest_of},
    },
};
use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};
use tokio::sync::{oneshot, watch};

/// The answers of a live query: the first one, and then an update whenever the answer has changed.
pub type Live<T> = Answers<Update<T>>;

/// The newest answer of a live query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Update<T> {
    /// The complete answer.
    pub answer: T,
    /// Set for an answer that does not follow an earlier one: the first, unless the subscriber has resumed with this answer.
    /// It replaces everything that the subscriber holds.
    pub is_first: bool,
    /// The number of answers in between that the subscriber was too slow to read (0 if it keeps up). They were dropped, and
    /// this answer includes their changes.
    pub skipped: u64,
    /// The place from which another subscription resumes after this update.
    pub resume: ResumeToken,
}

impl<T> Update<T> {
    /// Converts the answer.
    pub fn map<U>(self, convert: impl FnOnce(T) -> U) -> Update<U> {
        let Update { answer, is_first, skipped, resume } = self;
        Update { answer: convert(answer), is_first, skipped, resume }
    }
}

/// The first page of a range, with its differences from the update before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LivePage<V> {
    /// The page as it is now.
    pub page: Page<V>,
    /// The indices in `page.items` of the values that are new or differ; all of them in a first answer.
    pub changed: Vec<usize>,
    /// The keys, as text, of the values that have left the page.
    pub removed: Vec<String>,
}

/// The interval in which one live query of a process on a view reads the stored checkpoints for all of them, since another
/// process may run the projections.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// The same where this process is the only one. Its own projections wake the live queries, so it is only a safety net.
const EXCLUSIVE_POLL_INTERVAL: Duration = Duration::from_secs(5);

/// The interval of the search for changes that no position shows: another process has redelivered a parked event, or switched
/// the view to a rebuilt copy.
const RECHECK: Duration = Duration::from_secs(5);

/// The same for a view that a topic updates: no position of the own log shows what another process has applied.
const RECHECK_OF_TOPIC: Duration = Duration::from_secs(1);

/// The subject of a live query.
enum Subject<V> {
    Key(String),
    Page(Range<V>, usize),
}

/// The stored answer at one moment.
struct Snapshot {
    /// The key and the stored bytes of each value.
    values: Vec<(String, Vec<u8>)>,
    next: Option<Cursor>,
    resume: ResumeToken,
}

/// The newest answer, with the number of answers before it.
type Newest = (u64, Arc<Snapshot>);

impl<V: View> Views<V> {
    /// Returns the value under this key, and an update whenever it has changed.
    ///
    /// The first answer waits as [`find`](Views::find) does; with the token of an earlier update, it is left out if the
    /// subscriber has it already. No change between two updates is lost, and no update repeats the answer before it. A
    /// subscriber that is slow gets the newest answer and the number of those that it has [skipped](Update::skipped), so a
    /// live query holds no more than the newest answer and the one that the subscriber has read.
    ///
    /// A change reaches the subscribers of the process whose projection commits it at once, and those of other processes 50 ms
    /// later, or one second later if the projection is one of a topic. The stream ends with the fault when the database fails,
    /// and without one when the app stops: then the subscriber resumes, here or in another process.
    ///
    /// ```
    /// use cqrs_core::{HandlerResult, Live, Query, ResumeToken, View, Views, handler};
    /// # use serde::{Deserialize, Serialize};
    /// # #[derive(Debug, Clone, Serialize, Deserialize, View)]
    /// # #[view(name = "ticket", key = u64)]
    /// # pub struct Ticket { owner: String, opened: i64 }
    /// #[derive(Clone, Query)]
    /// struct WatchTicket { id: u64, resume: Option<ResumeToken> }
    ///
    /// #[handler]
    /// async fn watch_ticket(query: WatchTicket, tickets: Views<Ticket>) -> HandlerResult<Live<Option<Ticket>>> {
    ///     Ok(tickets.watch(&query.id, query.resume.as_ref()).await?)
    /// }
    /// ```
    ///
    /// # Errors
    /// Returns faults as [`find`](Views::find) does.
    pub async fn watch(&self, key: &V::Key, resume: Option<&ResumeToken>) -> Result<Live<Option<V>>, Fault> {
        let key = key.to_string();
        self.caught_up().await?;
        self.complete(std::slice::from_ref(&key)).await?;
        self.live(Subject::Key(key), resume, value_of).await
    }
    /// Returns the first `limit` values of a range (at most [`PAGE_LIMIT`](crate::PAGE_LIMIT)), and an update whenever one of
    /// them has changed. Otherwise it does the same as [`watch`](Views::watch).
    ///
    /// ```
    /// use cqrs_core::{HandlerResult, Live, LivePage, Query, ResumeToken, View, Views, handler};
    /// # use serde::{Deserialize, Serialize};
    /// # #[derive(Debug, Clone, Serialize, Deserialize, View)]
    /// # #[view(name = "ticket", key = u64)]
    /// # #[index(by_owner(owner, -opened))]
    /// # pub struct Ticket { owner: String, opened: i64 }
    /// #[derive(Clone, Query)]
    /// struct WatchTickets { owner: String, resume: Option<ResumeToken> }
    ///
    /// #[handler]
    /// async fn watch_tickets(query: WatchTickets, tickets: Views<Ticket>) -> HandlerResult<Live<LivePage<Ticket>>> {
    ///     let newest = Ticket::by_owner().owner(&query.owner);
    ///     Ok(tickets.watch_page(newest, 20, query.resume.as_ref()).await?)
    /// }
    /// ```
    ///
    /// # Errors
    /// Returns faults as [`find`](Views::find) does.
    pub async fn watch_page(
        &self,
        range: impl Into<Range<V>>,
        limit: usize,
        resume: Option<&ResumeToken>,
    ) -> Result<Live<LivePage<V>>, Fault> {
        let range = range.into();
        self.caught_up().await?;
        self.complete(&[]).await?;
        self.live(Subject::Page(range, limit), resume, LivePage::of).await
    }
    /// Returns all values of a range as a stream of pages of at most `limit` values. Each page is read when it is asked for,
    /// so a list of any length needs the memory of one page.
    ///
    /// The first page waits as [`page`](Views::page) does. As there, the whole is not a snapshot: a value that changes
    /// meanwhile appears at its new place.
    ///
    /// ```
    /// use cqrs_core::{Answers, HandlerResult, Page, Query, View, Views, handler};
    /// # use serde::{Deserialize, Serialize};
    /// # #[derive(Debug, Clone, Serialize, Deserialize, View)]
    /// # #[view(name = "ticket", key = u64)]
    /// # #[index(by_owner(owner, -opened))]
    /// # pub struct Ticket { owner: String, opened: i64 }
    /// #[derive(Clone, Query)]
    /// struct ExportTickets;
    ///
    /// #[handler]
    /// async fn export_tickets(_: ExportTickets, tickets: Views<Ticket>) -> HandlerResult<Answers<Page<Ticket>>> {
    ///     Ok(tickets.pages(Ticket::by_owner(), 500))
    /// }
    /// ```
    pub fn pages(&self, range: impl Into<Range<V>>, limit: usize) -> Answers<Page<V>> {
        let range = Arc::new(range.into());
        let first = Some((self.clone(), None));
        Answers::unfold(first, move |state: Option<(Views<V>, Option<Cursor>)>| {
            let range = range.clone();
            async move {
                let Some((views, after)) = state else { return Ok(None) };
                if after.is_none() {
                    views.caught_up().await?;
                    views.complete(&[]).await?;
                }
                let place = after.as_ref().map(|cursor| &cursor.place);
                let page = views.scanned(&range, place, false, limit).await?.decoded()?;
                let following = page.next.clone().map(|next| (views, Some(next)));
                Ok(Some((page, following)))
            }
        })
    }

    /// Reads the first answer and follows it. `decode` makes an answer from a snapshot and the one that the subscriber has
    /// read before it.
    async fn live<T: Send + 'static>(
        &self,
        subject: Subject<V>,
        resume: Option<&ResumeToken>,
        decode: impl Fn(&Snapshot, Option<&Snapshot>) -> Result<T, Fault> + Send + Sync + 'static,
    ) -> Result<Live<T>, Fault> {
        let changes = self.changes();
        // Before the first read: a change during it is read again.
        let count = changes.count();
        let first = Arc::new(self.snapshot(&subject).await?);
        let is_known = resume.is_some_and(|resume| resume.digest == first.resume.digest);
        let (newest, mut feed) = watch::channel((0, first.clone()));
        if !is_known {
            feed.mark_changed();
        }
        let (end, ended) = oneshot::channel();
        let (views, environment) = (self.clone(), self.runtime.environment.clone());
        // The reads are in a task of their own: a subscriber that is not polled must hold no connection of the database.
        environment.spawn(Box::pin(async move { views.follow(subject, &changes, count, newest, end).await }));
        let (decode, read) = (Arc::new(decode), is_known.then_some((0, first)));
        Ok(Answers::unfold(Subscriber { feed, ended, read }, move |mut subscriber| {
            let decode = decode.clone();
            async move {
                let Some(update) = subscriber.next(&*decode).await? else { return Ok(None) };
                Ok(Some((update, subscriber)))
            }
        }))
    }
    /// Reads the answer whenever it may have changed, until the subscriber is gone, the app stops or a read fails.
    async fn follow(
        &self,
        subject: Subject<V>,
        changes: &ViewChanges,
        mut count: u64,
        newest: watch::Sender<Newest>,
        end: oneshot::Sender<Fault>,
    ) {
        let runtime = &self.runtime;
        let _hurried: Vec<_> = runtime.readers_of(V::NAME).map(|reader| reader.hurried()).collect();
        let following = async {
            loop {
                tokio::select! {
                    biased;
                    () = changes.after(count) => (),
                    fault = self.look_for_changes(changes) => return fault,
                }
                // Further changes while the read waits for its turn need no read of their own.
                let _turn = runtime.live_reads.acquire().await;
                count = changes.count();
                let now = match self.snapshot(&subject).await {
                    Ok(now) => now,
                    Err(fault) => return fault,
                };
                newest.send_if_modified(|(number, newest)| {
                    let is_other = now.resume.digest != newest.resume.digest;
                    if is_other {
                        (*number, *newest) = (*number + 1, Arc::new(now));
                    }
                    is_other
                });
            }
        };
        let mut stopping = runtime.stopping.subscribe();
        let fault = tokio::select! {
            biased;
            () = newest.closed() => return,
            _ = stopping.wait_for(|stopping| *stopping) => return,
            fault = following => fault,
        };
        // The subscriber may be gone.
        let _ = end.send(fault);
    }
    async fn snapshot(&self, subject: &Subject<V>) -> Result<Snapshot, Fault> {
        // Before the read, so that the answer includes everything up to it.
        let position = self.runtime.readers_of(V::NAME).map(|reader| reader.seen()).min().unwrap_or(Position(0));
        let (values, next): (Vec<_>, _) = match subject {
            Subject::Key(key) => {
                let found = self.stored(std::slice::from_ref(key)).await?;
                (found.into_iter().filter_map(|stored| Some((stored.key, stored.value?))).collect(), None)
            }
            Subject::Page(range, limit) => {
                let page = self.scanned(range, None, false, *limit).await?;
                (page.items.into_iter().map(|entry| (entry.key, entry.value)).collect(), page.next)
            }
        };
        let has_next: &[u8] = if next.is_some() { &[1] } else { &[0] };
        let parts = values.iter().flat_map(|(key, value)| [key.as_bytes(), value.as_slice()]);
        let digest = digest_of(parts.chain([has_next]));
        Ok(Snapshot { values, next, resume: ResumeToken { position, digest } })
    }
    /// Returns the signs of changes of the view.
    fn changes(&self) -> Arc<ViewChanges> {
        let known = self.runtime.view_changes.get(V::NAME).cloned();
        // Without a projection in this app, no position shows a change.
        known.unwrap_or_else(|| Arc::new(ViewChanges::new(true)))
    }
    /// Looks for changes by other processes until a read fails. One live query of this process does it for all of the view.
    async fn look_for_changes(&self, changes: &ViewChanges) -> Fault {
        let _poll = changes.poll.lock().await;
        if let Some(side) = &self.runtime.query_side {
            return self.look_at_store(side).await;
        }
        let (environment, is_exclusive) = (&self.runtime.environment, self.runtime.storage.is_exclusive());
        let interval = if is_exclusive { EXCLUSIVE_POLL_INTERVAL } else { POLL_INTERVAL };
        let recheck = if changes.is_of_topic { RECHECK_OF_TOPIC } else { RECHECK };
        let mut rechecked = environment.uptime();
        loop {
            environment.sleep(interval).await;
            let mut looked = self.read_checkpoints().await;
            if looked.is_ok() && environment.uptime().saturating_sub(rechecked) >= recheck {
                rechecked = environment.uptime();
                looked = self.look_beyond_checkpoints(changes).await;
            }
            if let Err(fault) = looked {
                return fault;
            }
        }
    }
    /// Looks for changes in the store of a query side until it fails. The projection runs in this process, and wakes the live
    /// queries itself; it tries again when the store fails, which ends them.
    async fn look_at_store(&self, side: &QuerySide) -> Fault {
        loop {
            self.runtime.environment.sleep(RECHECK_OF_TOPIC).await;
            for reader in self.runtime.readers_of(V::NAME) {
                match side.checkpoint(&self.runtime, V::NAME, &reader.name).await {
                    Ok(checkpoint) => reader.saw_stored(Position(checkpoint)),
                    Err(fault) => return fault,
                }
            }
        }
    }
    /// Wakes the live queries if another process has moved a checkpoint of the projections.
    async fn read_checkpoints(&self) -> Result<(), Fault> {
        let readers: Vec<_> = self.runtime.readers_of(V::NAME).collect();
        let names: Vec<_> = readers.iter().map(|reader| reader.name.clone()).collect();
        if !names.is_empty() {
            let stored = self.runtime.storage.checkpoints(&names).await?;
            readers.iter().zip(stored).for_each(|(reader, stored)| reader.saw_stored(Position(stored)));
        }
        Ok(())
    }
    /// Wakes the live queries if there may be changes that no checkpoint shows.
    async fn look_beyond_checkpoints(&self, changes: &ViewChanges) -> Result<(), Fault> {
        if changes.is_of_topic {
            changes.add();
        }
        changes.serves(self.runtime.storage.serving_copy(V::NAME).await?);
        for reader in self.runtime.readers_of(V::NAME).filter(|reader| reader.has_parked()) {
            let parks = reader.parks();
            let first = ParkedPage { reader: Some(&reader.name), after: None, limit: 1, count_up_to: 0 };
            if self.runtime.storage.parked_keys(&first).await?.is_empty() {
                reader.none_parked(parks);
            } else {
                changes.add();
            }
        }
        Ok(())
    }
}

/// The subscriber's end of a live query.
struct Subscriber {
    feed: watch::Receiver<Newest>,
    ended: oneshot::Receiver<Fault>,
    /// The last answer that the subscriber has, if there is one.
    read: Option<Newest>,
}

impl Subscriber {
    async fn next<T>(
        &mut self,
        decode: &(impl Fn(&Snapshot, Option<&Snapshot>) -> Result<T, Fault> + Sync),
    ) -> Result<Option<Update<T>>, Fault> {
        loop {
            if self.feed.changed().await.is_err() {
                return self.ended.try_recv().map_or(Ok(None), Err);
            }
            let (number, now) = self.feed.borrow_and_update().clone();
            let before = self.read.replace((number, now.clone()));
            let (before_number, before) = before.map_or((None, None), |(number, before)| (Some(number), Some(before)));
            // The answer may have changed and changed back meanwhile.
            if before.as_ref().is_some_and(|before| before.resume.digest == now.resume.digest) {
                continue;
            }
            let skipped = before_number.map_or(number, |before| number - before - 1);
            let (answer, is_first) = (decode(&now, before.as_deref())?, before.is_none());
            return Ok(Some(Update { answer, is_first, skipped, resume: now.resume }));
        }
    }
}

/// Returns the value of a snapshot of one key.
fn value_of<V: View>(now: &Snapshot, _: Option<&Snapshot>) -> Result<Option<V>, Fault> {
    let value = now.values.first().map(|(_, value)| codec::decode(value));
    Ok(value.transpose()?)
}

impl<V: View> LivePage<V> {
    fn of(now: &Snapshot, before: Option<&Snapshot>) -> Result<Self, Fault> {
        let before = before.map_or(&[][..], |before| &before.values[..]);
        let before: HashMap<&str, &[u8]> = before.iter().map(|(key, value)| (key.as_str(), value.as_slice())).collect();
        let (mut items, mut changed) = (Vec::with_capacity(now.values.len()), Vec::new());
        for (index, (key, value)) in now.values.iter().enumerate() {
            items.push(codec::decode(value)?);
            if before.get(key.as_str()) != Some(&value.as_slice()) {
                changed.push(index);
            }
        }
        let keys: HashSet<&str> = now.values.iter().map(|(key, _)| key.as_str()).collect();
        let removed = before.into_keys().filter(|key| !keys.contains(key));
        let mut removed: Vec<_> = removed.map(str::to_owned).collect();
        removed.sort_unstable();
        Ok(LivePage { page: Page { items, previous: None, next: now.next.clone() }, changed, removed })
    }
}
