//! The parts of the one statement that writes a batch, as SQL with gaps.
//!
//! Each part writes, reading the gate before it (`{p}`), and leaves a gate (`{g}`): a materialized CTE of exactly one row.
//! `{p} left join x on true` runs `{p}` even when `x` is empty, and an aggregate over `x` runs `x` to its end; so the last
//! gate, which the final select demands, runs every check and every write, in this order, whatever the plan.
//!
//! `{u}` is the part's input, called `u`, numbered by `o`: arrays side by side, or one line of scalars. `{n}` is its length.
//! Keep every comparison with an expected value inside the `where` of its `update`: it is then checked again on the newest
//! row after a wait, and whoever passes sees in its snapshot all that the version before it wrote.

/// A part: its columns (their order is the order of the parameters) and its text.
pub(super) struct Sql {
    pub(super) columns: &'static [(&'static str, &'static str)],
    pub(super) text: &'static str,
}

/// In the order in which they are run: first what can wait or be refused, in the order in which refusals are told; then
/// positions; then ([`ANSWERED`]) the answer that holds one. Positions drawn after all waits agree with the order in which
/// values changed hands; and one order for all batches means that two of them do not deadlock between tables.
pub(super) const PARTS: [Sql; 15] = [
    KNOWN, SEEN, MOVED, BEGUN, UNPARKED, PARKED, SAVED, CREATED, HEADS, REPLACED, ADDED, GIVEN, TAKEN, ENTRIES, LOGGED,
];

/// The answer, here only looked at: whoever asks again is told so, and not what its first effect makes of the second try.
/// One that is being written meanwhile is met by [`ANSWERED`].
const KNOWN: Sql = Sql {
    columns: &[("key", "text"), ("fingerprint", "bigint"), ("body", "bytea")],
    text: "{g} as materialized (select case when count(a.key) = 0 then 1 else cqrs.reject('QC004', 'answers', null) end
  from {p} left join {u} on true left join cqrs.answer a on a.key = u.key)",
};

/// Messages now handled. 23505 on `inbox_pkey`: seen.
const SEEN: Sql = Sql {
    columns: &[("grp", "text"), ("message", "uuid")],
    text: "seen as (insert into cqrs.inbox (grp, message) select u.grp, u.message from {p}, {u} returning 1),
{g} as materialized (select count(*) from {p} left join seen on true)",
};

/// Readers that have a row.
const MOVED: Sql = Sql {
    columns: &[("reader", "text"), ("since", "bigint"), ("upto", "bigint"), ("epoch", "bigint")],
    text: "moved as (update cqrs.reader r set at = u.upto from {p}, {u}
  where r.reader = u.reader and r.at = u.since and (u.epoch is null or r.epoch = u.epoch) returning u.o),
{g} as materialized (select case when count(o) = {n} then 1 else cqrs.reject('QC002', 'readers', array_agg(o)) end
  from {p} left join moved on true)",
};

/// Readers that never moved and may have no row: of two that race, the second waits for the first and then finds it moved.
const BEGUN: Sql = Sql {
    columns: &[("reader", "text"), ("upto", "bigint")],
    text: "begun as (insert into cqrs.reader as r (reader, at) select u.reader, u.upto from {p}, {u}
  on conflict (reader) do update set at = excluded.at where r.at = 0 returning r.reader),
{g} as materialized (select case when count(x.reader) = {n} then 1
    else cqrs.reject('QC002', 'begun', array_agg(u.o) filter (where x.reader is not null)) end
  from {p} left join {u} on true left join begun x on x.reader = u.reader)",
};

/// Parked messages that go: of two who take one, the second waits for the first and then finds it gone.
const UNPARKED: Sql = Sql {
    columns: &[("seq", "bigint")],
    text: "unparked as (delete from cqrs.parked m using {p}, {u} where m.seq = u.seq returning u.o),
{g} as materialized (select case when count(o) = {n} then 1 else cqrs.reject('QC002', 'unparked', array_agg(o)) end
  from {p} left join unparked on true)",
};

/// Messages put aside. One that only waits behind others locks the first of them: while somebody takes that away it waits, and
/// is refused when nothing is left.
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
        ("error", "text"),
        ("attempts", "int"),
    ],
    text: "behind as (select u.o from {p}, {u} cross join lateral (select from cqrs.parked m
    where m.reader = u.reader and m.key = u.key order by m.seq limit 1 for key share) first where u.behind),
{g}b as materialized (select case when count(u.o) filter (where not u.behind or b.o is not null) = {n} then 1
    else cqrs.reject('QC002', 'parked', array_agg(u.o) filter (where not u.behind or b.o is not null)) end
  from {p} left join {u} on true left join behind b on b.o = u.o),
parked as (insert into cqrs.parked
    (reader, key, message, at, topic, part, record_key, headers, body, error, attempts)
  select u.reader, u.key, u.message, u.at, u.topic, u.part, u.record_key, u.headers::json, u.body, u.error, u.attempts
  from {g}b, {u} order by u.o returning 1),
{g} as materialized (select count(*) from {g}b left join parked on true)",
};

/// Rows that are there; without state they are deleted and keep the version.
const SAVED: Sql = Sql {
    columns: &[("kind", "text"), ("id", "text"), ("expected", "bigint"), ("version", "bigint"), ("state", "bytea")],
    text: "saved as (update cqrs.row r set version = u.version, state = u.state from {p}, {u}
  where r.kind = u.kind and r.id = u.id and r.version = u.expected returning u.o),
{g} as materialized (select case when count(o) = {n} then 1 else cqrs.reject('QC001', 'rows', array_agg(o)) end
  from {p} left join saved on true)",
};

/// New rows. 23505 on `row_pkey`: conflict.
const CREATED: Sql = Sql {
    columns: &[("kind", "text"), ("id", "text"), ("version", "bigint"), ("state", "bytea")],
    text: "created as (insert into cqrs.row (kind, id, version, state) select u.kind, u.id, u.version, u.state
  from {p}, {u} returning 1),
{g} as materialized (select count(*) from {p} left join created on true)",
};

/// Streams without a row: the entry before the first new one must be there, or a gap would open. Entries never change, so
/// the snapshot is enough. The new one must not be there: [`LOGGED`] finds that out too, but only after claims were taken.
const HEADS: Sql = Sql {
    columns: &[("stream", "text"), ("version", "bigint")],
    text: "{g} as materialized (select case when count(u.o) filter (where h.ok) = {n} then 1
    else cqrs.reject('QC001', 'streams', array_agg(u.o) filter (where h.ok)) end
  from {p} left join {u} on true left join cqrs.log l on l.stream = u.stream and l.version = u.version - 1
  left join cqrs.log x on x.stream = u.stream and x.version = u.version
  cross join lateral (select x.version is null and (u.version = 1 or l.version is not null) as ok) h)",
};

/// Views that are there; without value they are removed and keep the version.
const REPLACED: Sql = Sql {
    columns: &[("view", "text"), ("key", "text"), ("expected", "bigint"), ("value", "bytea")],
    text: "replaced as (update cqrs.view v set version = u.expected + 1, value = u.value from {p}, {u}
  where v.view = u.view and v.key = u.key and v.version = u.expected returning u.o),
{g} as materialized (select case when count(o) = {n} then 1 else cqrs.reject('QC001', 'views', array_agg(o)) end
  from {p} left join replaced on true)",
};

/// Views that were not there.
const ADDED: Sql = Sql {
    columns: &[("view", "text"), ("key", "text"), ("value", "bytea")],
    text: "added as (insert into cqrs.view (view, key, version, value) select u.view, u.key, 1, u.value from {p}, {u}
  on conflict (view, key) do nothing returning view, key),
{g} as materialized (select case when count(x.key) = {n} then 1
    else cqrs.reject('QC001', 'added', array_agg(u.o) filter (where x.key is not null)) end
  from {p} left join {u} on true left join added x on x.view = u.view and x.key = u.key)",
};

/// Claims given back, before any is taken: a value may go from one owner to another in one batch.
const GIVEN: Sql = Sql {
    columns: &[("name", "text"), ("value", "text"), ("owner", "text")],
    text: "given as (delete from cqrs.claim c using {p}, {u}
  where c.name = u.name and c.value = u.value and c.owner = u.owner returning 1),
{g} as materialized (select count(*) from {p} left join given on true)",
};

/// Claims taken; one that its owner has already is fine. Waits for a rival that is under way.
const TAKEN: Sql = Sql {
    columns: &[("name", "text"), ("value", "text"), ("owner", "text")],
    text: "taken as (insert into cqrs.claim as c (name, value, owner) select u.name, u.value, u.owner from {p}, {u}
  on conflict (name, value) do update set owner = excluded.owner where c.owner = excluded.owner
  returning c.name, c.value),
{g} as materialized (select case when count(x.value) = {n} then 1
    else cqrs.reject('QC003', 'claims', array_agg(u.o) filter (where x.value is not null)) end
  from {p} left join {u} on true left join taken x on x.name = u.name and x.value = u.value)",
};

/// Index entries of views that were not there, or had none: nothing has to go.
const ENTRIES: Sql = Sql {
    columns: &[("view", "text"), ("name", "text"), ("entry", "bytea"), ("key", "text")],
    text:
        "listed as (insert into cqrs.entry (view, name, entry, key) select u.view, u.name, u.entry, u.key from {p}, {u}
  on conflict do nothing returning 1),
{g} as materialized (select count(*) from {p} left join listed on true)",
};

/// The same when a view that was there is written (`{replaced}`, called `w`): what it no longer has goes, what is new comes,
/// the rest is not touched. So no entry is both deleted and inserted, in an order nobody promises.
pub(super) const RELISTED: &str = "unlisted as (delete from cqrs.entry e using {p}, {replaced}
  where e.view = w.view and e.key = w.key
  and (e.view, e.name, e.entry, e.key) not in (select u.view, u.name, u.entry, u.key from {u}) returning 1),
listed as (insert into cqrs.entry (view, name, entry, key) select u.view, u.name, u.entry, u.key from {p}, {u}
  on conflict do nothing returning 1),
{g} as materialized (select count(*) from {p}
  left join (select from unlisted union all select from listed) x on true)";

/// The same when nothing is listed any more.
pub(super) const UNLISTED: &str = "unlisted as (delete from cqrs.entry e using {p}, {replaced}
  where e.view = w.view and e.key = w.key returning 1),
{g} as materialized (select count(*) from {p} left join unlisted on true)";

/// What happened. Positions are drawn per row of this select, above the join with the gate: after the lock and all waits.
/// 23505 on `log_stream_version_key`: conflict.
const LOGGED: Sql = Sql {
    columns: &[
        ("stream", "text"),
        ("version", "bigint"),
        ("id", "uuid"),
        ("name", "text"),
        ("schema", "int"),
        ("payload", "bytea"),
        ("metadata", "text"),
        ("at", "timestamptz"),
        ("topic", "text"),
        ("key", "text"),
        ("lane", "smallint"),
        ("type", "text"),
        ("body", "bytea"),
    ],
    text: "logged as (insert into cqrs.log
    (stream, version, id, name, schema, payload, metadata, at, topic, key, lane, type, body)
  select u.stream, u.version, u.id, u.name, u.schema, u.payload, u.metadata::json, u.at,
    u.topic, u.key, u.lane, u.type, u.body from {p}, {u} order by u.o returning pos),
{g} as materialized (select max(pos) as pos from {p} left join logged on true)",
};

/// Last, so that it holds the batch's position, and hands it on. 23505 on `answer_pkey`: answered.
pub(super) const ANSWERED: &str = "answered as (insert into cqrs.answer (key, fingerprint, body, pos)
  select u.key, u.fingerprint, u.body, {pos} from {p}, {u} returning 1),
{g} as materialized (select {keep}count(*) from {p} left join answered on true{group})";
