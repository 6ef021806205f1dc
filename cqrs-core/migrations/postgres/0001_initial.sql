-- The framework's tables. Texts compare byte by byte (collate "C"), as the other storages do.

-- State-stored aggregates. Without state: deleted; the version stays, so that the id can live again.
create table cqrs.row (
    kind text collate "C", id text collate "C", version bigint not null, state bytea,
    primary key (kind, id)
) with (fillfactor = 80);

-- What happened. `topic` to `body` are what others are told; retention empties them once every lane has passed.
-- cache 1, or positions of two sessions would not grow in the order in which they are drawn.
create table cqrs.log (
    pos bigint generated always as identity (cache 1) primary key,
    stream text collate "C" not null, version bigint not null check (version > 0), id uuid not null,
    name text collate "C" not null, schema int not null, payload bytea not null, metadata json not null,
    at timestamptz not null,
    topic text collate "C", key text collate "C", lane smallint, type text collate "C", body bytea,
    constraint log_stream_version_key unique (stream, version),
    constraint log_told check ((topic is null) = (lane is null) and (topic is null) = (key is null)
        and (topic is null) = (type is null) and (topic is null) = (body is null))
);
create index log_told_by_lane on cqrs.log (lane, pos) where topic is not null;

-- Unique values and whose they are.
create table cqrs.claim (
    name text collate "C", value text collate "C", owner text collate "C" not null,
    primary key (name, value)
);

-- Read models. Without value: removed; the version stays, so that a late writer is refused.
create table cqrs.view (
    view text collate "C", key text collate "C", version bigint not null, value bytea,
    primary key (view, key)
) with (fillfactor = 80);

-- Their index entries: bytes that sort.
create table cqrs.entry (
    view text collate "C", name text collate "C", entry bytea, key text collate "C",
    primary key (view, name, entry, key)
);
create index entry_of on cqrs.entry (view, key);

-- Where readers are, and who holds the lease on those that are leased.
create table cqrs.reader (
    reader text collate "C" primary key, at bigint not null default 0,
    epoch bigint not null default 0, owner text collate "C", expires timestamptz
) with (fillfactor = 50);

-- Messages that a group has handled.
create table cqrs.inbox (
    grp text collate "C", message uuid, at timestamptz not null default now(),
    primary key (grp, message)
);

-- What commands with an idempotency key were answered.
create table cqrs.answer (
    key text collate "C" primary key, fingerprint bigint not null, body bytea not null, pos bigint not null,
    at timestamptz not null default now()
);

-- Ends a statement when a gate does not let it pass. Volatile, or it would be run when the statement is planned.
create function cqrs.reject(code text, part text, passed bigint[]) returns int language plpgsql volatile as $$
begin
    raise exception using errcode = code, message = part, detail = coalesce(array_remove(passed, null), '{}')::text;
end $$;
