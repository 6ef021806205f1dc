-- Parked messages (an ordered dead-letter queue): messages that could not be handled, and the later messages of the
-- same key, in order. The columns `topic` to `record_time` are the record as it was received. Without a topic, the message is
-- an entry of the service's own log, and `at` is its position. The sequence has cache 1; with more, the numbers of two
-- sessions would not grow in the order in which they parked.
create table cqrs.parked (
    seq bigint generated always as identity (cache 1) primary key,
    reader text collate "C" not null, key text collate "C" not null, message uuid not null, at bigint not null,
    topic text collate "C", part text collate "C", record_key bytea, headers json, body bytea,
    record_time timestamptz,
    error text not null, attempts int not null, since timestamptz not null default now()
);
create index parked_by_key on cqrs.parked (reader, key, seq);

-- Retention looks for old rows through these indexes.
create index inbox_handled_at on cqrs.inbox (handled_at);
create index stored_response_stored_at on cqrs.stored_response (stored_at);
