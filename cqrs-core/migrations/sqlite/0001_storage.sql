-- What the framework keeps, beside a service's own tables. Times are microseconds since 1970.

create table cqrs_row (
    kind text not null,
    id text not null,
    version integer not null,
    state blob,                              -- null: deleted, and the version stays
    primary key (kind, id)
);

create table cqrs_log (
    pos integer primary key autoincrement,   -- or the position of a deleted newest entry is given out again
    stream text not null,
    version integer not null,
    id blob not null,
    name text not null,
    schema integer not null,
    payload blob not null,
    metadata text not null,
    at integer not null,
    topic text,                              -- from here on: what others are told, or null
    key text,
    lane integer,
    type text,
    body blob,
    unique (stream, version)
);
create index cqrs_log_lane on cqrs_log (lane, pos) where topic is not null;

create table cqrs_claim (
    name text not null,
    value text not null,
    owner text not null,
    primary key (name, value)
) without rowid;

create table cqrs_view (
    view text not null,
    key text not null,
    version integer not null,
    value blob,                              -- null: removed, and the version stays
    primary key (view, key)
);

create table cqrs_entry (
    view text not null,
    name text not null,
    entry blob not null,
    key text not null,
    primary key (view, name, entry, key)
) without rowid;
create index cqrs_entry_of on cqrs_entry (view, key);

create table cqrs_reader (
    reader text primary key,
    at integer not null,
    epoch integer not null default 0,
    owner text,                              -- who holds the lease, until it expires
    expires integer
) without rowid;

create table cqrs_inbox (
    grp text not null,
    message blob not null,
    at integer not null default (cast(unixepoch('subsec') * 1000000 as integer)),
    primary key (grp, message)
) without rowid;
create index cqrs_inbox_at on cqrs_inbox (at);

create table cqrs_answer (
    key text primary key,
    fingerprint integer not null,
    body blob not null,
    pos integer not null,
    at integer not null default (cast(unixepoch('subsec') * 1000000 as integer))
) without rowid;
create index cqrs_answer_at on cqrs_answer (at);
