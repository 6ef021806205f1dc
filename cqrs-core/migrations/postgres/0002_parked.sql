-- Messages that could not be handled, and those of their key that came after them, in order. `topic` to `body` are the record as it
-- came; without topic it is an entry of the own log, and `at` its position.
-- cache 1, or the order of two sessions would not be the order in which they parked.
create table cqrs.parked (
    seq bigint generated always as identity (cache 1) primary key,
    reader text collate "C" not null, key text collate "C" not null, message uuid not null, at bigint not null,
    topic text collate "C", part text collate "C", record_key bytea, headers json, body bytea,
    error text not null, attempts int not null, since timestamptz not null default now()
);
create index parked_of on cqrs.parked (reader, key, seq);

-- What retention looks for.
create index inbox_at on cqrs.inbox (at);
create index answer_at on cqrs.answer (at);
