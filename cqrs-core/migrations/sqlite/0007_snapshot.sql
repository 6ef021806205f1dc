-- Snapshots of event-sourced aggregates, one of each. `event` is the id of the event at its version: a snapshot that does not
-- belong to the log is ignored. `form` is a fingerprint of the program's form of the state.
create table cqrs_snapshot (
    kind text not null,
    id text not null,
    version integer not null,
    event blob not null,
    form integer not null,
    value blob,                              -- null: the aggregate was deleted at this version
    primary key (kind, id)
);

-- Events that were moved out of the log, with their positions. The last event of a stream is never moved. Their outgoing
-- messages were emptied by retention before.
create table cqrs_archived_log (
    pos integer primary key,
    stream text not null,
    version integer not null,
    id blob not null,
    name text not null,
    schema integer not null,
    payload blob not null,
    metadata text not null,
    occurred_at integer not null,
    topic text,
    message_key text,
    shard integer,
    message_type text,
    content_type text,
    message_body blob,
    unique (stream, version)
);
