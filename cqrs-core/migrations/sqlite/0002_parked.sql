-- Messages that could not be handled, and those of their key that came after them, in order. `topic` to `body` are the record as it
-- came; without topic it is an entry of the own log, and `at` its position.
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
    error text not null,
    attempts integer not null,
    since integer not null default (cast(unixepoch('subsec') * 1000000 as integer))
);
create index cqrs_parked_of on cqrs_parked (reader, key, seq);
