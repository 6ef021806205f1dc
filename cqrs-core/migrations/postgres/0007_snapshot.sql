-- Snapshots of event-sourced aggregates, one of each. `event` is the id of the event at its version: a snapshot that does not
-- belong to the log is ignored. `form` is a fingerprint of the program's form of the state. Without a value, the aggregate
-- was deleted at this version.
create table cqrs.snapshot (
    kind text collate "C", id text collate "C", version bigint not null, event uuid not null, form bigint not null,
    value bytea,
    primary key (kind, id)
) with (fillfactor = 80);

-- Events that were moved out of the log, with their positions. The last event of a stream is never moved.
create table cqrs.archived_log (
    like cqrs.log,
    primary key (pos),
    constraint archived_log_stream_version_key unique (stream, version)
);
