-- The framework's tables. Texts compare byte by byte (collate "C"), as in the other storages.

-- State-stored aggregates. A deleted aggregate has no value and keeps its version, so that the id can be used again.
create table cqrs.state (
    kind text collate "C", id text collate "C", version bigint not null, value bytea,
    primary key (kind, id)
) with (fillfactor = 80);

-- The event log. The columns `topic` to `message_body` are the outbox: the integration event that goes out with this
-- entry. Retention empties them once the relay has published the entry to every audience. The sequence has cache 1;
-- with more, the positions of two sessions would not grow in the order in which they are drawn.
create table cqrs.log (
    pos bigint generated always as identity (cache 1) primary key,
    stream text collate "C" not null, version bigint not null check (version > 0), id uuid not null,
    name text collate "C" not null, schema int not null, payload bytea not null, metadata json not null,
    occurred_at timestamptz not null,
    topic text collate "C", message_key text collate "C", shard smallint, message_type text collate "C",
    content_type text collate "C", message_body bytea,
    constraint log_stream_version_key unique (stream, version),
    constraint log_outgoing check ((topic is null) = (shard is null) and (topic is null) = (message_key is null)
        and (topic is null) = (message_type is null) and (topic is null) = (content_type is null)
        and (topic is null) = (message_body is null))
);
create index log_outgoing_by_shard on cqrs.log (shard, pos) where topic is not null;

-- Reservations of unique values, each held by one aggregate (the owner is its stream).
create table cqrs.reservation (
    name text collate "C", value text collate "C", owner text collate "C" not null,
    primary key (name, value)
);

-- Read models. A removed view has no value and keeps its version, so that a late writer is refused.
create table cqrs.view (
    view text collate "C", key text collate "C", version bigint not null, value bytea,
    primary key (view, key)
) with (fillfactor = 80);

-- Index entries of the read models. The bytes sort in the order of the values they encode.
create table cqrs.view_index (
    view text collate "C", name text collate "C", entry bytea, key text collate "C",
    primary key (view, name, entry, key)
);
create index view_index_by_key on cqrs.view_index (view, key);

-- Checkpoints of the log's readers, and the leases on those that are leased.
create table cqrs.reader (
    reader text collate "C" primary key, checkpoint bigint not null default 0,
    epoch bigint not null default 0, owner text collate "C", expires timestamptz
) with (fillfactor = 50);

-- Messages that a consumer group has handled.
create table cqrs.inbox (
    grp text collate "C", message uuid, handled_at timestamptz not null default now(),
    primary key (grp, message)
);

-- Stored responses of commands that had an idempotency key.
create table cqrs.stored_response (
    key text collate "C" primary key, fingerprint bigint not null, body bytea not null, pos bigint not null,
    stored_at timestamptz not null default now()
);

-- Ends a statement when a gate refuses the batch. It is volatile; otherwise the planner would run it.
create function cqrs.reject(code text, part text, passed bigint[]) returns int language plpgsql volatile as $$
begin
    raise exception using errcode = code, message = part, detail = coalesce(array_remove(passed, null), '{}')::text;
end $$;
