//! Views in Redis: the store of a query side. Values are in hashes, and indexes in sorted sets in lexicographic order.
//!
//! | key | type | content |
//! |---|---|---|
//! | `PREFIX:checkpoints` | hash | the checkpoint of each reader |
//! | `PREFIX:values:VIEW` | hash | by key: the version, `:1:` or `:0:` for a removed value, and the value |
//! | `PREFIX:entries:VIEW` | hash | by key: the index entries of the value, so that the next write can remove them |
//! | `PREFIX:index:LENGTH:VIEW:INDEX` | sorted set | the entries and keys, each pair as bytes that sort as the pair does |
//!
//! All keys of a store share one hash tag, so they are in one slot of a cluster. Every batch is one script, which Redis runs as a
//! whole. A Redis that is full refuses the script at its first write.
mod connection;
mod member;

use crate::{
    error::Fault,
    storage::{
        CommitError, Scan, Scanned, StoredView, ViewBatch, ViewRead, ViewStore,
        check::{keys as check_keys, range as check_range, view_batch},
    },
};
use async_trait::async_trait;
use connection::Connection;
use member::{bounds, member, parts};
use redis::{FromRedisValue, Pipeline, Script, ScriptInvocation, Value, pipe};
use std::{fmt, sync::Arc};

/// The store of a query side in Redis 6.2 or later. Cloning shares its connection.
///
/// Redis keeps the views in memory. When it loses them, the framework fills them again from the log; reads are refused as
/// unavailable until then. Its `maxmemory-policy` must be `noeviction`, because an evicted key would be a part of a view. When it
/// is full, the projections wait with an error and go on when there is room; nothing is skipped.
///
/// ```no_run
/// use cqrs_core::{App, storage::{Memory, Redis}};
///
/// # async fn start() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
/// let log = Memory::new();   // the database of the service
/// let queries = App::builder("shop").storage(log).query_side(Redis::open("redis://localhost:6379/0", "shop")?).build()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Redis(Arc<Inner>);

struct Inner {
    connection: Connection,
    prefix: String,
    apply: Script,
    find: Script,
    count: Script,
    range: Script,
    clear: Script,
}

impl Redis {
    /// Opens a store. It connects at the first call. All keys begin with `{prefix}`, so that several services can share a Redis.
    ///
    /// # Errors
    /// Fails when the URL is not one of Redis: `redis://[[user]:password@]host[:port][/database]`.
    pub fn open(url: &str, prefix: &str) -> Result<Self, Fault> {
        if prefix.is_empty() || prefix.contains(['{', '}', '\0']) {
            return Err(Fault::invalid("the prefix of keys in Redis is empty, or contains a brace or a NUL character"));
        }
        Ok(Redis(Arc::new(Inner {
            connection: Connection::new(url)?,
            prefix: format!("{{{prefix}}}"),
            apply: Script::new(include_str!("apply.lua")),
            find: Script::new(include_str!("find.lua")),
            count: Script::new(include_str!("count.lua")),
            range: Script::new(include_str!("range.lua")),
            clear: Script::new(include_str!("clear.lua")),
        })))
    }
    fn checkpoints(&self) -> String {
        format!("{}:checkpoints", self.0.prefix)
    }
    fn values(&self, view: &str) -> String {
        format!("{}:values:{view}", self.0.prefix)
    }
    fn index(&self, view: &str, index: &str) -> String {
        // The length keeps the indexes of two views apart, whatever characters their names have.
        format!("{}:index:{}:{view}:{index}", self.0.prefix, view.len())
    }
    /// Runs a script.
    async fn call<T: FromRedisValue>(&self, call: &ScriptInvocation<'_>) -> Result<T, Fault> {
        let mut connection = self.0.connection.get().await?;
        let answer = call.invoke_async(&mut connection).await;
        self.0.connection.checked(answer).await
    }
    async fn run(&self, pipeline: &Pipeline) -> Result<Vec<Value>, Fault> {
        let mut connection = self.0.connection.get().await?;
        let answer = pipeline.query_async(&mut connection).await;
        self.0.connection.checked(answer).await
    }
}
impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Redis({})", self.0.prefix)
    }
}

#[async_trait]
impl ViewStore for Redis {
    async fn prepare(&self) -> Result<(), Fault> {
        // Each new connection checks the configuration of its server.
        self.respond().await
    }
    async fn find(&self, view: &str, keys: &[String], readers: &[String]) -> Result<ViewRead<Vec<StoredView>>, Fault> {
        check_keys(keys)?;
        if keys.is_empty() && readers.is_empty() {
            return Ok(ViewRead { found: Vec::new(), checkpoints: Vec::new() });
        }
        let mut call = self.0.find.prepare_invoke();
        call.key(self.checkpoints()).key(self.values(view)).arg(readers.len()).arg(readers).arg(keys);
        let mut answers = self.call::<Vec<Value>>(&call).await?.into_iter();
        let checkpoints = numbers(answers.next())?;
        let mut found = Vec::new();
        for (key, value) in keys.iter().zip(array(answers.next())) {
            if let Some(stored) = bytes(value) {
                found.push(stored_view(key, &stored)?);
            }
        }
        Ok(ViewRead { found, checkpoints })
    }
    async fn range(&self, scan: &Scan<'_>, readers: &[String]) -> Result<ViewRead<Vec<Scanned>>, Fault> {
        check_range(scan)?;
        let (from, until) = bounds(scan.from, scan.until);
        let mut call = self.0.range.prepare_invoke();
        call.key(self.index(scan.view, scan.index)).key(self.values(scan.view)).key(self.checkpoints());
        call.arg(from)
            .arg(until)
            .arg(i32::from(scan.reversed))
            .arg(i64::try_from(scan.limit).unwrap_or(i64::MAX))
            .arg(readers);
        let mut answers = self.call::<Vec<Value>>(&call).await?.into_iter();
        let checkpoints = numbers(answers.next())?;
        let (members, values) = (array(answers.next()), array(answers.next()));
        let mut found = Vec::with_capacity(members.len());
        for (member, value) in members.into_iter().zip(values) {
            let (Some(member), Some(value)) = (bytes(member), bytes(value)) else {
                return Err(unreadable("an index entry"));
            };
            let (entry, key) = parts(&member).ok_or_else(|| unreadable("an index entry"))?;
            let stored = stored_view(&key, &value)?;
            found.extend(stored.value.map(|value| Scanned { entry, key, value }));
        }
        Ok(ViewRead { found, checkpoints })
    }
    async fn count(&self, scan: &Scan<'_>, readers: &[String]) -> Result<ViewRead<u64>, Fault> {
        check_range(scan)?;
        let (from, until) = bounds(scan.from, scan.until);
        let mut call = self.0.count.prepare_invoke();
        call.key(self.index(scan.view, scan.index)).key(self.checkpoints()).arg(from).arg(until).arg(readers);
        let mut answers = self.call::<Vec<Value>>(&call).await?.into_iter();
        let checkpoints = numbers(answers.next())?;
        let Some(Value::Int(count)) = answers.next() else { return Err(unreadable("a count")) };
        Ok(ViewRead { found: u64::try_from(count).unwrap_or(0).min(scan.limit as u64), checkpoints })
    }
    async fn positions(&self, readers: &[String]) -> Result<Vec<u64>, Fault> {
        if readers.is_empty() {
            return Ok(Vec::new());
        }
        let mut pipeline = pipe();
        pipeline.cmd("HMGET").arg(self.checkpoints()).arg(readers);
        numbers(self.run(&pipeline).await?.into_iter().next())
    }
    async fn apply(&self, batch: ViewBatch) -> Result<(), CommitError> {
        view_batch(&batch)?;
        let ViewBatch { view, writes, moves } = batch;
        let mut call = self.0.apply.prepare_invoke();
        call.key(self.checkpoints()).key(self.values(&view)).key(format!("{}:entries:{view}", self.0.prefix));
        call.arg(self.index(&view, "")).arg(moves.len());
        for step in &moves {
            call.arg(&step.reader).arg(step.from).arg(step.to);
        }
        call.arg(writes.len());
        for write in &writes {
            // The version before a colon, whether there is a value, and the value.
            let mut stored = format!("{}:{}:", write.expected + 1, u8::from(write.value.is_some())).into_bytes();
            stored.extend(write.value.as_deref().unwrap_or_default());
            let entries = if write.value.is_some() { &write.entries[..] } else { &[] };
            call.arg(&write.key).arg(write.expected).arg(stored).arg(entries.len());
            for (index, entry) in entries {
                call.arg(*index).arg(member(entry, &write.key));
            }
        }
        let refused: Vec<String> = self.call(&call).await?;
        match &refused[..] {
            [] => Ok(()),
            [kind, reader] if kind == "moved" => Err(CommitError::Moved(reader.clone())),
            [kind, key] if kind == "conflict" => {
                Err(CommitError::Conflict { what: format!("{view}/{key}"), exists: false, versions: None })
            }
            _ => Err(unreadable("the answer to a batch").into()),
        }
    }
    async fn clear(&self, view: &str, readers: &[String]) -> Result<(), Fault> {
        let mut call = self.0.clear.prepare_invoke();
        call.key(self.checkpoints()).key(self.values(view)).key(format!("{}:entries:{view}", self.0.prefix));
        call.arg(self.index(view, "")).arg(readers);
        self.call::<Value>(&call).await.map(drop)
    }
    async fn respond(&self) -> Result<(), Fault> {
        let mut pipeline = pipe();
        pipeline.ping();
        self.run(&pipeline).await.map(drop)
    }
}

/// Reads a stored value: its version, a colon, `1` or `0`, a colon, and the value.
fn stored_view(key: &str, stored: &[u8]) -> Result<StoredView, Fault> {
    let broken = || unreadable("a value");
    let end = stored.iter().position(|byte| *byte == b':').ok_or_else(broken)?;
    let version = std::str::from_utf8(&stored[..end]).ok().and_then(|text| text.parse().ok()).ok_or_else(broken)?;
    let value = match &stored[end..] {
        [b':', b'1', b':', value @ ..] => Some(value.to_vec()),
        [b':', b'0', b':'] => None,
        _ => return Err(broken()),
    };
    Ok(StoredView { key: key.to_owned(), version, value })
}
fn array(value: Option<Value>) -> Vec<Value> {
    match value {
        Some(Value::Array(all)) => all,
        _ => Vec::new(),
    }
}
fn bytes(value: Value) -> Option<Vec<u8>> {
    match value {
        Value::BulkString(bytes) => Some(bytes),
        Value::SimpleString(text) => Some(text.into_bytes()),
        Value::VerbatimString { text, .. } => Some(text.into_bytes()),
        _ => None,
    }
}
/// Returns the checkpoints of an answer; 0 where there is none.
fn numbers(value: Option<Value>) -> Result<Vec<u64>, Fault> {
    let number = |value| match bytes(value) {
        None => Ok(0),
        Some(text) => lossy(&text).parse().map_err(|_| unreadable("a checkpoint")),
    };
    array(value).into_iter().map(number).collect()
}
fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
fn unreadable(what: &str) -> Fault {
    Fault::internal(format!("Redis returned {what} in another form than the one that was stored"))
}
