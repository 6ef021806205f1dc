-- Timers: commands that are sent at a time. `id` is another one after each replacement, and `due` another one after each firing of
-- a recurring timer, so both together tell whether a timer is still the one that was read. A timer with an error waits for an
-- operator, and the later ones of its key wait behind it.
create table cqrs.timer (
    name text collate "C" primary key, id uuid not null, due timestamptz not null, key text collate "C" not null,
    command text collate "C" not null, body bytea not null, metadata json not null, calendar text collate "C",
    set_by text collate "C" not null, set_at timestamptz not null default clock_timestamp(), error text
) with (fillfactor = 80);
create index timer_due on cqrs.timer (due, id);
create index timer_failed on cqrs.timer (key) where error is not null;

-- The timers, with their commands. `due` has an index.
create view cqrs_read.timers as
select t.name, t.id, t.due as due_at, t.key, t.command, cqrs_read.as_json(t.body) as payload,
    cqrs_read.as_text(t.body) as raw_payload, t.calendar, t.set_by, t.set_at, t.due <= clock_timestamp() as is_due, t.error,
    m.metadata ->> 'correlation' as correlation_id, m.metadata ->> 'caller' as caller
from cqrs.timer t cross join lateral (select cqrs_read.as_json(t.metadata::text) as metadata) m;
