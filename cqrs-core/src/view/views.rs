//! Reading of views, with a wait until they have caught up (read-your-writes).
use crate::{
    environment::within,
    error::{Error, Fault},
    event::{kind_of, stream_of},
    metadata::ConsistencyToken,
    position::Position,
    runtime::{ReaderProgress, Runtime},
    storage::{ParkedPage, ReadLimit, Scan, Scanned, Storage},
    view::View,
    view::page::{Cursor, Page, Range},
};
use futures_util::FutureExt;
use std::{collections::BTreeMap, fmt, marker::PhantomData, sync::Arc, time::Duration};

/// The reader of one view.
///
/// A read first waits until the view includes every event of its projections that this process has committed, and the
/// positions in the caller's consistency token (read-your-writes). After one second it fails with
/// [`ErrorKind::Unavailable`](crate::ErrorKind::Unavailable), and at once for a position that the log has not reached. A
/// token of another epoch of the database is refused at once ([`Error::OutdatedToken`]).
///
/// It fails likewise when one of these events could not be applied and is parked, as far as that can be known: when it
/// belongs to the aggregate whose id is the key, or to the aggregate of the event at the token's position.
/// [`eventually`](Views::eventually) reads what there is.
///
/// ```
/// # use cqrs_core::{HandlerResult, Query, View, Views, handler};
/// # use serde::{Deserialize, Serialize};
/// # #[derive(Debug, Clone, Serialize, Deserialize, View)]
/// # #[view(name = "ticket", key = u64)]
/// # #[index(by_owner(owner, -opened))]
/// # pub struct Ticket { owner: String, opened: i64 }
/// #[derive(Clone, Query)]
/// struct TicketsOf { owner: String, after: Option<cqrs_core::Cursor> }
///
/// #[handler]
/// async fn tickets_of(query: TicketsOf, tickets: Views<Ticket>) -> HandlerResult<Vec<Ticket>> {
///     Ok(tickets.page(Ticket::by_owner().owner(&query.owner), query.after.as_ref(), 20).await?.items)
/// }
/// ```
pub struct Views<V> {
    pub(crate) runtime: Arc<Runtime>,
    /// The positions to wait for; `None` reads without waiting.
    pub(crate) sees: Option<ConsistencyToken>,
    /// Whether a read waits for the events that this process has committed, too.
    pub(crate) own_commits: bool,
    pub(crate) of: PhantomData<fn() -> V>,
}

/// The largest number of values in a page.
pub const PAGE_LIMIT: usize = 1000;

/// The number of values without index entries from which a page is refused.
const UNINDEXED_LIMIT: usize = 1000;

/// The number of scans in which a page looks for a moment without a new value that lacks entries.
const SCANS: usize = 10;

/// The longest wait of a read for the view to catch up.
const MAX_WAIT: Duration = Duration::from_secs(1);

/// The interval between two reads of the stored checkpoint during that wait.
const POLL_INTERVAL: Duration = Duration::from_millis(10);

impl<V: View> Views<V> {
    /// Reads the current state of the view, without waiting.
    pub fn eventually(mut self) -> Self {
        self.sees = None;
        self
    }
    /// Waits for the positions in the caller's consistency token only, and not for later commits of this process.
    ///
    /// A step of a process reads with it what its caller has seen, and does not wait for the step before.
    pub fn seen_by_caller(mut self) -> Self {
        self.own_commits = false;
        self
    }
    /// Returns the value under this key, if there is one.
    ///
    /// # Errors
    /// Returns a [`Fault`] when the database fails or the view does not catch up in time.
    pub async fn find(&self, key: &V::Key) -> Result<Option<V>, Fault> {
        let key = key.to_string();
        self.caught_up().await?;
        self.complete(Some(&key)).await?;
        let found = self.runtime.storage.views(V::NAME, &[key]).await?;
        let value = found.into_iter().next().and_then(|stored| stored.value);
        Ok(value.map(|bytes| serde_json::from_slice(&bytes)).transpose()?)
    }
    /// Returns the value under this key.
    ///
    /// # Errors
    /// Returns [`Error::NotFound`] when there is none, and faults as [`find`](Views::find) does.
    pub async fn get<E>(&self, key: &V::Key) -> Result<V, Error<E>> {
        self.find(key).await?.ok_or_else(|| Error::NotFound { kind: V::NAME, id: key.to_string() })
    }
    /// Returns one page of a range: at most `limit` values (and at most [`PAGE_LIMIT`]), after the cursor of the
    /// previous page.
    ///
    /// # Errors
    /// Returns faults as [`find`](Views::find) does.
    pub async fn page(
        &self,
        range: impl Into<Range<V>>,
        after: Option<&Cursor>,
        limit: usize,
    ) -> Result<Page<V>, Fault> {
        let range = range.into();
        self.caught_up().await?;
        self.complete(None).await?;
        let (found, next) = self.scanned(&range, after, limit).await?;
        let items = found.iter().map(|entry| serde_json::from_slice(&entry.value)).collect::<Result<_, _>>()?;
        Ok(Page { items, next })
    }

    /// Reads one page of a range without waiting: its entries, and the cursor for the next page.
    pub(super) async fn scanned(
        &self,
        range: &Range<V>,
        after: Option<&Cursor>,
        limit: usize,
    ) -> Result<(Vec<Scanned>, Option<Cursor>), Fault> {
        // A newer program may write values without the entries of this index. An idle process has not looked for it.
        self.runtime.refresh_newer_programs().await?;
        let limit = limit.clamp(1, PAGE_LIMIT);
        let scan = Scan {
            view: V::NAME,
            index: range.index,
            prefix: &range.prefix,
            after: after.map(|cursor| (&*cursor.entry, &*cursor.key)),
            limit: limit + 1,
        };
        let mut found = match self.runtime.newer_programs.index_sets_with(V::NAME, &columns_of::<V>(range.index)) {
            Some(complete) => self.scan_with_unindexed(scan, &complete).await?,
            None => self.runtime.storage.scan(&scan).await?,
        };
        let more = found.len() > limit;
        found.truncate(limit);
        let last = found.last().filter(|_| more);
        let next = last.map(|last| Cursor { entry: last.entry.clone(), key: last.key.clone() });
        Ok((found, next))
    }
    /// Scans an index while another program writes values without it. The values without entries are added where they
    /// belong, so that a page is complete and in order. `complete` has the index sets of the values with entries.
    ///
    /// # Errors
    /// Fails as unavailable when too many values have no entries.
    async fn scan_with_unindexed(&self, scan: Scan<'_>, complete: &[i64]) -> Result<Vec<Scanned>, Fault> {
        let mut before = self.unindexed(scan.index, complete).await?;
        for _ in 0..SCANS {
            // At most these values are replaced below, so a full scan still fills the page.
            let wider = Scan { limit: scan.limit + before.len(), ..scan };
            let mut found = self.runtime.storage.scan(&wider).await?;
            let unindexed = self.unindexed(scan.index, complete).await?;
            // The scan may have missed a value that lost its entries after the first read.
            if !unindexed.keys().all(|key| before.contains_key(key)) {
                before = unindexed;
                continue;
            }
            found.retain(|scanned| !unindexed.contains_key(&scanned.key));
            // Entries of a value that got them meanwhile are in the scan, or the scan was before that.
            before.retain(|key, _| !unindexed.contains_key(key) && found.iter().all(|scanned| scanned.key != *key));
            for (key, value) in before.into_iter().chain(unindexed) {
                let entries = serde_json::from_slice::<V>(&value)?.entries().into_iter();
                let entries = entries.filter(|(index, entry)| *index == scan.index && entry.starts_with(scan.prefix));
                let entries = entries.filter(|(_, entry)| scan.after.is_none_or(|after| (&**entry, &*key) > after));
                found.extend(entries.map(|(_, entry)| Scanned { entry, key: key.clone(), value: value.clone() }));
            }
            found.sort_by(|a, b| (&a.entry, &a.key).cmp(&(&b.entry, &b.key)));
            found.truncate(scan.limit);
            return Ok(found);
        }
        Err(unfilled::<V>(scan.index))
    }
    /// Returns the values that may lack entries of the index, by key.
    async fn unindexed(&self, index: &str, complete: &[i64]) -> Result<BTreeMap<String, Vec<u8>>, Fault> {
        let found = self.runtime.storage.views_of_other_index_sets(V::NAME, complete, UNINDEXED_LIMIT).await?;
        if found.len() == UNINDEXED_LIMIT {
            return Err(unfilled::<V>(index));
        }
        Ok(found.into_iter().filter_map(|stored| Some((stored.key, stored.value?))).collect())
    }
    /// Returns the position that a read waits for. Events of this process that the projection does not handle change
    /// nothing in the view.
    fn wanted(&self, reader: &ReaderProgress, seen_by_caller: Position) -> Position {
        if self.own_commits { seen_by_caller.max(reader.last_committed()) } else { seen_by_caller }
    }
    /// Refuses a read of a value that lacks a parked event. The projections have passed such an event, so the position
    /// alone does not show it.
    ///
    /// Which values an event changes is known only to the projection. A read is refused when events are parked of the
    /// aggregate whose id is the key, or of the aggregate whose event is at the position of the caller's token. Only
    /// these are looked up, so the cost does not grow with the number of parked messages.
    pub(super) async fn complete(&self, key: Option<&str>) -> Result<(), Fault> {
        let Some(token) = &self.sees else { return Ok(()) };
        let (storage, seen_by_caller) = (&*self.runtime.storage, token.of(&self.runtime.service));
        for reader in self.runtime.readers_of(V::NAME).filter(|reader| reader.has_parked()) {
            let wanted = self.wanted(reader, seen_by_caller);
            if wanted == Position(0) {
                continue;
            }
            let parks = reader.parks();
            let Some(of_key) = parked_streams(storage, &reader.name, key).await? else {
                reader.none_parked(parks);
                continue;
            };
            let before = Position(seen_by_caller.0.saturating_sub(1));
            let at_token = storage.log(before, seen_by_caller, ReadLimit::entries(1)).await?.pop();
            let mut streams: Vec<_> = of_key.iter().cloned().chain(at_token.map(|entry| entry.stream)).collect();
            streams.dedup();
            if streams.is_empty() {
                continue;
            }
            for (stream, _) in storage.first_parked(&reader.name, &streams).await? {
                let upto = if of_key.contains(&stream) { wanted } else { seen_by_caller };
                let first = storage.parked(&reader.name, &stream, 0, 1).await?.pop();
                if first.is_some_and(|first| first.at <= upto.0) {
                    let lacks = format!("view {} lacks an event that could not be applied and is parked", V::NAME);
                    return Err(Fault::unavailable(lacks));
                }
            }
        }
        Ok(())
    }

    pub(super) async fn caught_up(&self) -> Result<(), Fault> {
        let Some(token) = &self.sees else { return Ok(()) };
        let runtime = &self.runtime;
        if let (Some(of_token), Some(current)) = (token.epoch(&runtime.service), runtime.epoch())
            && of_token != current
        {
            return Err(Fault::outdated_token(&runtime.service));
        }
        let seen_by_caller = token.of(&runtime.service);
        let wanted = |reader: &ReaderProgress| self.wanted(reader, seen_by_caller);
        if runtime.readers_of(V::NAME).all(|reader| reader.seen() >= wanted(reader)) {
            return Ok(());
        }
        let catching_up = async {
            self.refuse_beyond_the_log(seen_by_caller).await?;
            for reader in runtime.readers_of(V::NAME) {
                let wanted = wanted(reader);
                if reader.seen() < wanted {
                    tokio::select! {
                        biased;
                        () = reader.moved_to(wanted) => (),
                        polled = self.poll(reader, wanted) => polled?,
                    }
                }
            }
            Ok(())
        };
        let late = || {
            let behind = runtime.readers_of(V::NAME).find(|reader| reader.seen() < wanted(reader));
            let wanted = behind.map_or(seen_by_caller, |reader| wanted(reader));
            Fault::unavailable(format!("view {} has not reached position {} yet", V::NAME, wanted.0))
        };
        within(&*runtime.environment, MAX_WAIT, catching_up).await.unwrap_or_else(|| Err(late()))
    }
    /// Refuses a position that the log has not reached: no wait of this read can help.
    async fn refuse_beyond_the_log(&self, seen_by_caller: Position) -> Result<(), Fault> {
        let storage = &self.runtime.storage;
        let before = Position(seen_by_caller.0.saturating_sub(1));
        // What this process has committed needs no statement.
        if seen_by_caller == Position(0) || storage.wait_for_commit(before).now_or_never().is_some() {
            return Ok(());
        }
        let end = storage.high_water_mark().await?;
        // The followers need not find this by their next poll.
        self.runtime.recent_log.learned(end);
        if seen_by_caller <= end {
            return Ok(());
        }
        Err(Fault::beyond_the_log(seen_by_caller.0, end.0))
    }
    /// Reads the stored checkpoint until the reader has reached `wanted`, since another process may run the projection.
    /// Of all reads that wait for a reader, one at a time does so.
    async fn poll(&self, reader: &ReaderProgress, wanted: Position) -> Result<(), Fault> {
        let _polls = reader.poll.lock().await;
        loop {
            self.runtime.environment.sleep(POLL_INTERVAL).await;
            if reader.seen() >= wanted {
                return Ok(());
            }
            let stored = self.runtime.storage.checkpoints(std::slice::from_ref(&reader.name)).await?;
            reader.saw_stored(Position(stored.first().copied().unwrap_or(0)));
        }
    }
}

/// Returns the streams with this id of each kind of aggregate of which the reader has parked events, or `None` when it has
/// none at all. Each read finds the first parked key of the next kind, so there are as many reads as kinds.
async fn parked_streams(storage: &dyn Storage, reader: &str, id: Option<&str>) -> Result<Option<Vec<String>>, Fault> {
    let mut streams: Option<Vec<String>> = None;
    let mut after: Option<String> = None;
    loop {
        let after_key = after.as_deref().map(|key| (reader, key));
        let page = ParkedPage { reader: Some(reader), after: after_key, limit: 1, count_up_to: 0 };
        let Some(first) = storage.parked_keys(&page).await?.pop() else { return Ok(streams) };
        let (kind, end) = kind_of(&first.key);
        let streams = streams.get_or_insert_default();
        let Some(id) = id else { return Ok(Some(Vec::new())) };
        streams.push(stream_of(kind, id));
        after = Some(end);
    }
}

/// Returns the index with its columns, as the view declares them.
fn columns_of<V: View>(index: &str) -> Vec<(&'static str, &'static str)> {
    V::INDEXES.iter().filter(|(name, _)| *name == index).copied().collect()
}

fn unfilled<V: View>(index: &str) -> Fault {
    Fault::unavailable(format!("index {index} of view {} is being filled in", V::NAME))
}

impl<V> Clone for Views<V> {
    fn clone(&self) -> Self {
        Views { runtime: self.runtime.clone(), sees: self.sees.clone(), own_commits: self.own_commits, of: PhantomData }
    }
}

impl<V: View> fmt::Debug for Views<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Views<{}>", V::NAME)
    }
}
