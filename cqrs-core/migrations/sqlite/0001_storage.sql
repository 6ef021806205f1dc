-- The framework's tables, beside the service's own. Times are microseconds since 1970.

-- State-stored aggregates.
create table cqrs_state (
    kind text not null,
    id text not null,
    version integer not null,
    value blob,                              -- null: deleted; the version stays, so that the id can be used again
    primary key (kind, id)
);

-- The event log.
create table cqrs_log (
    pos integer primary key autoincrement,   -- without autoincrement the position of a deleted newest entry is reused
    stream text not null,
    version integer not null,
    id blob not null,
    name text not null,
    schema integer not null,
    payload blob not null,
    metadata text not null,
    occurred_at integer not null,
    topic text,                              -- from here on: the outgoing integration event (the outbox), or null
    message_key text,
    shard integer,
    message_type text,
    content_type text,
    message_body blob,
    unique (stream, version)
);
create index cqrs_log_outgoing_by_shard on cqrs_log (shard, pos) where topic is not null;

-- Reservations of unique values, each held by one aggregate (the owner is its stream).
create table cqrs_reservation (
    name text not null,
    value text not null,
    owner text not null,
    primary key (name, value)
) without rowid;

-- Read models.
create table cqrs_view (
    view text not null,
    key text not null,
    version integer not null,
    value blob,                              -- null: removed; the version stays, so that a late writer is refused
    primary key (view, key)
);

-- Index entries of the read models. The bytes sort in the order of the values they encode.
create table cqrs_view_index (
    view text not null,
    name text not null,
    entry blob not null,
    key text not null,
    primary key (view, name, entry, key)
) without rowid;
create index cqrs_view_index_by_key on cqrs_view_index (view, key);

-- Checkpoints of the log's readers, and the leases on those that are leased.
create table cqrs_reader (
    reader text primary key,
    checkpoint integer not null,
    epoch integer not null default 0,
    owner text,                              -- the holder of the lease, until it expires
    expires integer
) without rowid;

-- Messages that a consumer group has handled.
create table cqrs_inbox (
    grp text not null,
    message blob not null,
    handled_at integer not null default (cast(unixepoch('subsec') * 1000000 as integer)),
    primary key (grp, message)
) without rowid;
create index cqrs_inbox_handled_at on cqrs_inbox (handled_at);

-- Stored responses of commands that had an idempotency key.
create table cqrs_stored_response (
    key text primary key,
    fingerprint integer not null,
    body blob not null,
    pos integer not null,
    stored_at integer not null default (cast(unixepoch('subsec') * 1000000 as integer))
) without rowid;
create index cqrs_stored_response_stored_at on cqrs_stored_response (stored_at);
