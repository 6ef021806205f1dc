-- Parked messages (an ordered dead-letter queue): messages that could not be handled, and the later messages of the
-- same key, in order. The columns `topic` to `record_time` are the record as it was received. Without a topic, the message is
-- an entry of the service's own log, and `at` is its position.
create table cqrs_parked (
    seq integer primary key autoincrement,
    reader text not null,
    key text not null,
    message blob not null,
    at integer not null,
    topic text,
    part text,
    record_key blob,
    headers text,
    body blob,
    record_time integer,
    error text not null,
    attempts integer not null,
    since integer not null default (cast(unixepoch('subsec') * 1000000 as integer))
);
create index cqrs_parked_by_key on cqrs_parked (reader, key, seq);
