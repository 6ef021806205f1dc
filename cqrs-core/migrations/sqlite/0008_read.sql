-- Views for people: reports, operators and BI tools read the data in plain terms. Columns are only added. Times are texts in
-- UTC, such as 2026-01-31T12:00:00.000Z. A value that is not JSON is null, and the raw text beside it has it.

-- The events of all aggregates, those that were moved to the archive included. `stream` has an index together with `version`,
-- and `position` has one. The columns from `topic` on describe the integration event that leaves with the event, until retention
-- removes it.
create view cqrs_read_events as
select pos as position, stream, substr(stream, 1, instr(stream || '/', '/') - 1) as aggregate,
    substr(stream, instr(stream || '/', '/') + 1) as id, version, name as event, schema as event_version,
    lower(substr(hex(id), 1, 8) || '-' || substr(hex(id), 9, 4) || '-' || substr(hex(id), 13, 4) || '-'
        || substr(hex(id), 17, 4) || '-' || substr(hex(id), 21)) as event_id,
    strftime('%Y-%m-%dT%H:%M:%fZ', occurred_at / 1000000.0, 'unixepoch') as occurred_at,
    case when json_valid(cast(payload as text)) then json(cast(payload as text)) end as payload,
    cast(payload as text) as raw_payload,
    case when json_valid(metadata) then metadata ->> 'correlation' end as correlation_id,
    case when json_valid(metadata) then metadata ->> 'causation' end as causation_id,
    case when json_valid(metadata) then metadata ->> 'caller' end as caller, topic, message_key, message_type
from (select pos, stream, version, id, name, schema, payload, metadata, occurred_at, topic, message_key, message_type from cqrs_log
    union all select pos, stream, version, id, name, schema, payload, metadata, occurred_at, topic, message_key, message_type
    from cqrs_archived_log);

-- The state of the aggregates that are stored as state. `aggregate` and `id` together have an index. The state of an aggregate in
-- a table of one's own is in that table, and here its text is empty.
create view cqrs_read_aggregates as
select kind as aggregate, id, version, value is null as is_deleted,
    case when json_valid(cast(value as text)) then json(cast(value as text)) end as state, cast(value as text) as raw_state
from cqrs_state;

-- The values of unique fields, and the aggregates that hold them. `field` and `value` together have an index.
create view cqrs_read_unique_values as
select name as field, value, substr(owner, 1, instr(owner || '/', '/') - 1) as aggregate,
    substr(owner, instr(owner || '/', '/') + 1) as id
from cqrs_reservation;

-- The values of the read models. `view` and `key` together have an index.
create view cqrs_read_views as
select view, key, version, value is null as is_removed,
    case when json_valid(cast(value as text)) then json(cast(value as text)) end as value, cast(value as text) as raw_value
from cqrs_view;

-- The readers of the log and of topics. `lag` counts positions of the log for a projection or a subscriber, and messages for a
-- relay shard; it is null for a reader of a topic, whose checkpoint is an offset of the broker.
create view cqrs_read_readers as
with recursive shards(shard) as (select 0 union all select shard + 1 from shards where shard < 15),
kinds(reader, kind, shard) as (
    select r.reader, case
        when s.shard is not null then 'relay'
        when r.reader like 'subscriber/%' then 'subscriber'
        when r.reader like 'projection/%/%' then 'projection of a topic'
        when r.reader like 'projection/%' then 'projection'
        else 'other' end, s.shard
    from cqrs_reader r left join shards s on r.reader = 'relay/' || s.shard
        or r.reader like 'relay/%/' || s.shard and r.reader not like 'relay/%/%/%')
select r.reader, k.kind, r.checkpoint, case
        when k.kind in ('projection', 'subscriber') then max((select coalesce(max(pos), 0) from cqrs_log) - r.checkpoint, 0)
        when k.kind = 'relay' then (select count(*) from cqrs_log l
            where l.topic is not null and l.shard = k.shard and l.pos > r.checkpoint)
    end as lag, r.owner as lease_owner,
    strftime('%Y-%m-%dT%H:%M:%fZ', r.expires / 1000000.0, 'unixepoch') as lease_expires_at,
    coalesce(r.expires > cast(unixepoch('subsec') * 1000000 as integer), 0) as is_leased
from cqrs_reader r join kinds k on k.reader = r.reader;

-- The parked messages (an ordered dead-letter queue), each with its content: that of the record, or of the service's own event.
-- `reader`, `key` and `number` together have an index. `position` is a position of the log, or an offset of the topic.
create view cqrs_read_parked as
select p.seq as number, p.reader, p.key,
    lower(substr(hex(p.message), 1, 8) || '-' || substr(hex(p.message), 9, 4) || '-' || substr(hex(p.message), 13, 4) || '-'
        || substr(hex(p.message), 17, 4) || '-' || substr(hex(p.message), 21)) as message_id,
    p.topic, p.part as partition, p.at as position, p.error, p.attempts,
    strftime('%Y-%m-%dT%H:%M:%fZ', p.since / 1000000.0, 'unixepoch') as parked_at,
    strftime('%Y-%m-%dT%H:%M:%fZ', p.record_time / 1000000.0, 'unixepoch') as record_time, coalesce(l.name, a.name, '') as event,
    case when json_valid(cast(coalesce(p.body, l.payload, a.payload) as text))
        then json(cast(coalesce(p.body, l.payload, a.payload) as text)) end as payload,
    cast(coalesce(p.body, l.payload, a.payload) as text) as raw_payload
from cqrs_parked p left join cqrs_log l on p.topic is null and l.pos = p.at
left join cqrs_archived_log a on p.topic is null and a.pos = p.at;

-- The programs that have started with this database.
create view cqrs_read_programs as
select number, case when json_valid(declaration) then declaration ->> 'service' end as service,
    strftime('%Y-%m-%dT%H:%M:%fZ', first_started / 1000000.0, 'unixepoch') as first_started_at,
    strftime('%Y-%m-%dT%H:%M:%fZ', last_started / 1000000.0, 'unixepoch') as last_started_at,
    case when json_valid(declaration) then json(declaration) end as declaration, declaration as raw_declaration
from cqrs_program;
