-- Timers: commands that are sent at a time. `id` is another one after each replacement, and `due` another one after each firing of
-- a recurring timer, so both together tell whether a timer is still the one that was read. A timer with an error waits for an
-- operator, and the later ones of its key wait behind it.
create table cqrs_timer (
    name text not null primary key,
    id blob not null,
    due integer not null,
    key text not null,
    command text not null,
    body blob not null,
    metadata text not null,
    calendar text,                           -- null: fired once
    set_by text not null,
    set_at integer not null,
    error text                               -- null: fired when it is due
);
create index cqrs_timer_due on cqrs_timer (due, id);
create index cqrs_timer_failed on cqrs_timer (key) where error is not null;

-- The timers, with their commands. `due` has an index.
create view cqrs_read_timers as
select name, lower(substr(hex(id), 1, 8) || '-' || substr(hex(id), 9, 4) || '-' || substr(hex(id), 13, 4) || '-'
        || substr(hex(id), 17, 4) || '-' || substr(hex(id), 21)) as id,
    strftime('%Y-%m-%dT%H:%M:%fZ', due / 1000000.0, 'unixepoch') as due_at, key, command,
    case when json_valid(cast(body as text)) then json(cast(body as text)) end as payload, cast(body as text) as raw_payload,
    calendar, set_by, strftime('%Y-%m-%dT%H:%M:%fZ', set_at / 1000000.0, 'unixepoch') as set_at,
    due <= cast(unixepoch('subsec') * 1000000 as integer) as is_due, error,
    case when json_valid(metadata) then metadata ->> 'correlation' end as correlation_id,
    case when json_valid(metadata) then metadata ->> 'caller' end as caller
from cqrs_timer;
