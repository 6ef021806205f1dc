//! SQL templates of the parts that make up the one statement that writes a batch.
//!
//! Each part reads the gate before it (`{p}`), writes, and leaves a gate of its own (`{g}`): a materialized CTE of
//! exactly one row. `{p} left join x on true` runs `{p}` even when `x` is empty, and an aggregate over `x` runs `x` to
//! its end. The final select demands the last gate, so it runs every check and every write, in this order, for every
//! plan.
//!
//! `{u}` is the part's input, with the alias `u` and the ordinal `o`: parallel arrays, or one row of scalars. `{n}` is
//! its length. An `insert` cannot return the ordinal, so its gate counts what was inserted. Only a refusal matches that
//! with the input, by grouping both: a join without an index would compare each with each. Keep every comparison with an expected value inside the `where` of its `update`. PostgreSQL then checks
//! it again on the newest row after a wait, and a statement that passes sees in its snapshot everything that the
//! version before wrote.

/// A part: its columns in the order of the parameters, and its template.
pub(super) struct Sql {
    pub(super) columns: &'static [(&'static str, &'static str)],
    pub(super) text: &'static str,
}

/// The parts in the order in which they run. First come the parts that can wait or be refused, in the order in which
/// refusals are reported; then the events, which draw positions; last ([`RESPONDED`]) the response, which stores a
/// position.
///
/// Positions are drawn after all waits, so they agree with the order in which reserved values changed owners. One order
/// for all batches prevents deadlocks between tables.
pub(super) const PARTS: [Sql; 18] = [
    RESPONSE, HANDLED, MOVED, BEGUN, UNPARKED, PARKED, TIMERS, READ, SAVED, CREATED, HEADS, SNAPSHOTS, REPLACED, ADDED,
    RELEASED, TAKEN, ENTRIES, LOGGED,
];

/// The check that no response is stored yet. It runs first, so a repeated command is refused as a repetition and not
/// for a conflict with its own first effect. [`RESPONDED`] detects a response that is being written concurrently.
const RESPONSE: Sql = Sql {
    columns: &[("key", "text"), ("fingerprint", "bigint"), ("body", "bytea")],
    text:
        "{g} as materialized (select case when count(s.key) = 0 then 1 else cqrs.reject('QC004', 'responses', null) end
  from {p} left join {u} on true left join cqrs.stored_response s on s.key = u.key)",
};

/// Inbox records of the messages this batch handles. Error 23505 on `inbox_pkey` means that one was handled already.
const HANDLED: Sql = Sql {
    columns: &[("grp", "text"), ("message", "uuid")],
    text: "handled as (insert into cqrs.inbox (grp, message) select u.grp, u.message from {p}, {u} returning 1),
{g} as materialized (select count(*) from {p} left join handled on true)",
};

/// Checkpoint moves of readers that have a row.
const MOVED: Sql = Sql {
    columns: &[("reader", "text"), ("since", "bigint"), ("upto", "bigint"), ("epoch", "bigint")],
    text:
        "moved as (update cqrs.reader r set checkpoint = u.upto, fence = case when r.fence is not null then u.upto end
  from {p}, {u} where r.reader = u.reader and r.checkpoint = u.since
  and (r.epoch = u.epoch or u.epoch is null and r.fence is null) returning u.o),
{g} as materialized (select case when count(o) = {n} then 1 else cqrs.reject('QC002', 'readers', array_agg(o)) end
  from {p} left join moved on true)",
};

/// First checkpoint moves, of readers that may have no row. Of two concurrent moves, the second waits for the first and
/// is then refused. Only a projection moves a reader without a row in an epoch other than 0: that of a switched view.
const BEGUN: Sql = Sql {
    columns: &[("reader", "text"), ("upto", "bigint"), ("epoch", "bigint")],
    text: "begun as (insert into cqrs.reader as r (reader, checkpoint, epoch, fence)
  select u.reader, u.upto, coalesce(u.epoch, 0), case when u.epoch > 0 then u.upto end from {p}, {u}
  on conflict (reader) do update set checkpoint = excluded.checkpoint,
    fence = case when r.fence is not null then excluded.checkpoint end
  where r.checkpoint = 0 and exists (select from {u}
    where u.reader = r.reader and (r.epoch = u.epoch or u.epoch is null and r.fence is null)) returning r.reader),
{g} as materialized (select case when count(x.reader) = {n} then 1
    else (select cqrs.reject('QC002', 'begun', array_agg(o)) from (select max(y.o) as o from
      (select u.reader, u.o from {u} union all select reader, null from begun) y
      group by y.reader having count(*) = 2) passed) end
  from {p} left join begun x on true)",
};

/// Parked messages to remove. Of two batches that remove the same message, the second waits for the first and is then
/// refused.
const UNPARKED: Sql = Sql {
    columns: &[("seq", "bigint")],
    text: "unparked as (delete from cqrs.parked m using {p}, {u} where m.seq = u.seq returning u.o),
{g} as materialized (select case when count(o) = {n} then 1 else cqrs.reject('QC002', 'unparked', array_agg(o)) end
  from {p} left join unparked on true)",
};

/// Messages to park. A message that only waits behind others locks the first of them. While another transaction removes
/// that one, this part waits; it is refused when nothing is left to wait behind.
const PARKED: Sql = Sql {
    columns: &[
        ("reader", "text"),
        ("key", "text"),
        ("behind", "boolean"),
        ("message", "uuid"),
        ("at", "bigint"),
        ("topic", "text"),
        ("part", "text"),
        ("record_key", "bytea"),
        ("headers", "text"),
        ("body", "bytea"),
        ("record_time", "timestamptz"),
        ("error", "text"),
        ("attempts", "int"),
    ],
    text: "behind as (select u.o from {p}, {u} left join lateral (select true as found from cqrs.parked m
    where u.behind and m.reader = u.reader and m.key = u.key order by m.seq limit 1 for key share) first on true
    where not u.behind or first.found),
{g}b as materialized (select case when count(o) = {n} then 1 else cqrs.reject('QC002', 'parked', array_agg(o)) end
  from {p} left join behind on true),
parked as (insert into cqrs.parked
    (reader, key, message, at, topic, part, record_key, headers, body, record_time, error, attempts)
  select u.reader, u.key, u.message, u.at, u.topic, u.part, u.record_key, u.headers::json, u.body, u.record_time,
    u.error, u.attempts
  from {g}b, {u} order by u.o returning 1),
{g} as materialized (select count(*) from {g}b left join parked on true)",
};

/// Timers. First the stored ones are locked in the order of their names. A timer that this batch is the effect of is compared as
/// it is after the wait, so of two firings the second one is refused. Each name is written by one of the three writes, or by none.
///
/// `kind` is 0 for a new timer, 1 for one to remove, and 2 for one that was fired and waits again. A wait is added to the time at
/// which the statement began, so that timers of one batch with one wait are due at one time, and in the order of their ids.
const TIMERS: Sql = Sql {
    columns: &[
        ("name", "text"),
        ("fired_id", "uuid"),
        ("fired_due", "timestamptz"),
        ("kind", "smallint"),
        ("id", "uuid"),
        ("due", "timestamptz"),
        ("wait", "bigint"),
        ("key", "text"),
        ("command", "text"),
        ("body", "bytea"),
        ("metadata", "text"),
        ("calendar", "text"),
        ("set_by", "text"),
        ("error", "text"),
    ],
    text: "fired as (select u.o from {p}, {u} left join lateral
    (select t.id, t.due from cqrs.timer t where t.name = u.name for update) t on true
    where u.fired_id is null or (t.id = u.fired_id and t.due = u.fired_due)),
{g}b as materialized (select case when count(o) = {n} then 1 else cqrs.reject('QC002', 'timers', array_agg(o)) end
  from {p} left join fired on true),
timers_removed as (delete from cqrs.timer t using {g}b, {u} where u.kind = 1 and t.name = u.name returning 1),
timers_updated as (update cqrs.timer t set due = u.due, error = u.error from {g}b, {u}
  where u.kind = 2 and t.name = u.name returning 1),
timers_set as (insert into cqrs.timer (name, id, due, key, command, body, metadata, calendar, set_by)
  select u.name, u.id, coalesce(u.due, statement_timestamp() + u.wait * interval '1 microsecond'), u.key, u.command, u.body,
    u.metadata::json, u.calendar, u.set_by from {g}b, {u} where u.kind = 0
  on conflict (name) do update set id = excluded.id, due = excluded.due, key = excluded.key, command = excluded.command,
    body = excluded.body, metadata = excluded.metadata, calendar = excluded.calendar, set_by = excluded.set_by,
    set_at = excluded.set_at, error = null returning 1),
{g} as materialized (select count(*) from {g}b left join
  (select from timers_removed union all select from timers_updated union all select from timers_set) x on true)",
};

/// Versions that a decision relied on, with the advisory locks of all aggregates that the batch reads and writes. The
/// function takes the locks in the order of the input, and then compares each version that is given.
///
/// Two batches that each read an aggregate of the other one's writes would both pass a comparison with the committed
/// versions. So a read takes a shared lock and a write an exclusive one: the second batch waits here, and compares after the
/// first one has ended. The locks are sorted and come before the rows of all aggregates, so they cause no deadlock. A batch
/// without reads takes none: it can be put after every batch with reads that has not seen it.
const READ: Sql = Sql {
    columns: &[
        ("slot", "int"),
        ("written", "boolean"),
        ("kind", "text"),
        ("id", "text"),
        ("stream", "text"),
        ("version", "bigint"),
    ],
    text: "read as materialized (select cqrs.lock_and_compare(array_agg(u.slot order by u.o),
    array_agg(u.written order by u.o), array_agg(u.kind order by u.o), array_agg(u.id order by u.o),
    array_agg(u.stream order by u.o), array_agg(u.version order by u.o)) as passed from {p} left join {u} on true),
{g} as materialized (select case when cardinality(passed) = {n} then 1 else cqrs.reject('QC001', 'reads', passed) end
  from read)",
};

/// Rows that exist. A row without a value is deleted and keeps its version.
const SAVED: Sql = Sql {
    columns: &[("kind", "text"), ("id", "text"), ("expected", "bigint"), ("version", "bigint"), ("value", "bytea")],
    text: "saved as (update cqrs.state s set version = u.version, value = u.value from {p}, {u}
  where s.kind = u.kind and s.id = u.id and s.version = u.expected returning u.o),
{g} as materialized (select case when count(o) = {n} then 1 else cqrs.reject('QC001', 'rows', array_agg(o)) end
  from {p} left join saved on true)",
};

/// New rows. Error 23505 on `state_pkey` means a conflict.
const CREATED: Sql = Sql {
    columns: &[("kind", "text"), ("id", "text"), ("version", "bigint"), ("value", "bytea")],
    text: "created as (insert into cqrs.state (kind, id, version, value) select u.kind, u.id, u.version, u.value
  from {p}, {u} returning 1),
{g} as materialized (select count(*) from {p} left join created on true)",
};

/// Streams without a row. The entry before the first new one must exist, or the stream would have a gap; entries never
/// change, so the snapshot is enough. Neither the new version nor a later one must exist: [`LOGGED`] detects that too, but
/// only after reservations were taken, and not for an archived one. The last entry of a stream is never archived.
const HEADS: Sql = Sql {
    columns: &[("stream", "text"), ("version", "bigint")],
    text: "{g} as materialized (select case when count(u.o) filter (where h.ok) = {n} then 1
    else cqrs.reject('QC001', 'streams', array_agg(u.o) filter (where h.ok)) end
  from {p} left join {u} on true left join cqrs.log l on l.stream = u.stream and l.version = u.version - 1
  left join lateral (select true as found from cqrs.log x where x.stream = u.stream and x.version >= u.version
    order by x.version limit 1) x on true
  cross join lateral (select x.found is null and (u.version = 1 or l.version is not null) as ok) h)",
};

/// Snapshots of aggregates whose streams were checked before.
const SNAPSHOTS: Sql = Sql {
    columns: &[
        ("kind", "text"),
        ("id", "text"),
        ("version", "bigint"),
        ("event", "uuid"),
        ("form", "bigint"),
        ("value", "bytea"),
    ],
    text: "snapshots as (insert into cqrs.snapshot (kind, id, version, event, form, value)
  select u.kind, u.id, u.version, u.event, u.form, u.value from {p}, {u}
  on conflict (kind, id) do update set version = excluded.version, event = excluded.event, form = excluded.form,
    value = excluded.value returning 1),
{g} as materialized (select count(*) from {p} left join snapshots on true)",
};

/// Views that exist. A view without a value is removed and keeps its version.
const REPLACED: Sql = Sql {
    columns: &[("view", "text"), ("key", "text"), ("expected", "bigint"), ("value", "bytea"), ("index_set", "bigint")],
    text: "replaced as (update cqrs.view v set version = u.expected + 1, value = u.value, index_set = u.index_set
  from {p}, {u}
  where v.view = u.view and v.key = u.key and v.version = u.expected returning u.o),
{g} as materialized (select case when count(o) = {n} then 1 else cqrs.reject('QC001', 'views', array_agg(o)) end
  from {p} left join replaced on true)",
};

/// New views.
const ADDED: Sql = Sql {
    columns: &[("view", "text"), ("key", "text"), ("value", "bytea"), ("index_set", "bigint")],
    text: "added as (insert into cqrs.view (view, key, version, value, index_set)
  select u.view, u.key, 1, u.value, u.index_set from {p}, {u}
  on conflict (view, key) do nothing returning view, key),
{g} as materialized (select case when count(x.key) = {n} then 1
    else (select cqrs.reject('QC001', 'added', array_agg(o)) from (select max(y.o) as o from
      (select u.view, u.key, u.o from {u} union all select view, key, null from added) y
      group by y.view, y.key having count(*) = 2) passed) end
  from {p} left join added x on true)",
};

/// Reservations to release. They are released before any is taken, so that a value can pass from one owner to another
/// in one batch.
const RELEASED: Sql = Sql {
    columns: &[("name", "text"), ("value", "text"), ("owner", "text")],
    text: "released as (delete from cqrs.reservation r using {p}, {u}
  where r.name = u.name and r.value = u.value and r.owner = u.owner returning 1),
{g} as materialized (select count(*) from {p} left join released on true)",
};

/// Reservations to take. Taking a value again for the owner that holds it changes nothing. This part waits for a
/// concurrent transaction that takes the same value.
const TAKEN: Sql = Sql {
    columns: &[("name", "text"), ("value", "text"), ("owner", "text")],
    text:
        "taken as (insert into cqrs.reservation as r (name, value, owner) select u.name, u.value, u.owner from {p}, {u}
  on conflict (name, value) do update set owner = excluded.owner where r.owner = excluded.owner
  returning r.name, r.value),
{g} as materialized (select case when count(x.value) = {n} then 1
    else (select cqrs.reject('QC003', 'reservations', array_agg(o)) from (select max(y.o) as o from
      (select u.name, u.value, u.o from {u} union all select name, value, null from taken) y
      group by y.name, y.value having count(*) = 2) passed) end
  from {p} left join taken x on true)",
};

/// Index entries of views that are new or had none, so that nothing has to be removed.
const ENTRIES: Sql = Sql {
    columns: &[("view", "text"), ("name", "text"), ("entry", "bytea"), ("key", "text")],
    text: "listed as (insert into cqrs.view_index (view, name, entry, key)
  select u.view, u.name, u.entry, u.key from {p}, {u} on conflict do nothing returning 1),
{g} as materialized (select count(*) from {p} left join listed on true)",
};

/// [`ENTRIES`] when an existing view is written (`{replaced}`, with the alias `w`). It deletes entries that the view no
/// longer has, inserts new ones, and leaves the rest alone. No entry is both deleted and inserted, since the order of
/// two writes in one statement is not defined.
pub(super) const RELISTED: &str = "unlisted as (delete from cqrs.view_index e using {p}, {replaced}
  where e.view = w.view and e.key = w.key
  and (e.view, e.name, e.entry, e.key) not in (select u.view, u.name, u.entry, u.key from {u}) returning 1),
listed as (insert into cqrs.view_index (view, name, entry, key)
  select u.view, u.name, u.entry, u.key from {p}, {u} on conflict do nothing returning 1),
{g} as materialized (select count(*) from {p}
  left join (select from unlisted union all select from listed) x on true)";

/// [`RELISTED`] when the written views have no entries any more.
pub(super) const UNLISTED: &str = "unlisted as (delete from cqrs.view_index e using {p}, {replaced}
  where e.view = w.view and e.key = w.key returning 1),
{g} as materialized (select count(*) from {p} left join unlisted on true)";

/// Events. Positions are drawn per row of this select, above the join with the gate, and therefore after the lock and
/// all waits. Error 23505 on `log_stream_version_key` means a conflict.
const LOGGED: Sql = Sql {
    columns: &[
        ("stream", "text"),
        ("version", "bigint"),
        ("id", "uuid"),
        ("name", "text"),
        ("schema", "int"),
        ("payload", "bytea"),
        ("metadata", "text"),
        ("occurred_at", "timestamptz"),
        ("topic", "text"),
        ("message_key", "text"),
        ("shard", "smallint"),
        ("message_type", "text"),
        ("content_type", "text"),
        ("message_body", "bytea"),
    ],
    text: "logged as (insert into cqrs.log (stream, version, id, name, schema, payload, metadata, occurred_at,
    topic, message_key, shard, message_type, content_type, message_body)
  select u.stream, u.version, u.id, u.name, u.schema, u.payload, u.metadata::json, u.occurred_at,
    u.topic, u.message_key, u.shard, u.message_type, u.content_type, u.message_body from {p}, {u} order by u.o returning pos),
{g} as materialized (select max(pos) as pos from {p} left join logged on true)",
};

/// The response. It runs last, so that it can store the batch's position, and passes the position on. Error 23505 on
/// `stored_response_pkey` means that a response exists.
pub(super) const RESPONDED: &str = "responded as (insert into cqrs.stored_response (key, fingerprint, body, pos)
  select u.key, u.fingerprint, u.body, {pos} from {p}, {u} returning 1),
{g} as materialized (select {keep}count(*) from {p} left join responded on true{group})";
