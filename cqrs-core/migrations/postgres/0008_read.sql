-- Takes the advisory locks of a batch with reads in the given order, and then returns the ordinals whose version is the
-- stored one, or that have none to compare. Each statement of a volatile function sees what was committed before it began, while
-- the statement that calls the function sees only what was committed before its own beginning. The last event of a stream is never
-- archived, so the log has its version. The first number of a lock is "cqrd" in ASCII.
create function cqrs.lock_and_compare(slots int[], written boolean[], kinds text[], ids text[], streams text[],
    versions bigint[]) returns bigint[] language plpgsql volatile as $$
begin
    for i in 1..cardinality(slots) loop
        if written[i] then
            perform pg_advisory_xact_lock(1668379236, slots[i]);
        else
            perform pg_advisory_xact_lock_shared(1668379236, slots[i]);
        end if;
    end loop;
    return array(select u.o from unnest(kinds, ids, streams, versions) with ordinality u(kind, id, stream, version, o)
        where u.version is null or u.version = case
            when u.kind is null then coalesce(
                (select l.version from cqrs.log l where l.stream = u.stream order by l.version desc limit 1), 0)
            else coalesce((select s.version from cqrs.state s where s.kind = u.kind and s.id = u.id), 0) end
        order by u.o);
end $$;

-- Views for people: reports, operators and BI tools read the data in plain terms. Columns are only added. A role needs usage
-- on this schema and select on its views, and no right on the tables: a view reads them with the rights of its owner.
create schema if not exists cqrs_read;

-- Returns stored bytes as text, or null if they are not UTF-8.
create function cqrs_read.as_text(bytes bytea) returns text language plpgsql immutable strict as $$
begin
    return convert_from(bytes, 'UTF8');
exception when data_exception then
    return null;
end $$;
-- Returns stored bytes as JSON, or null if jsonb cannot hold them. Then the raw text beside it has the value.
create function cqrs_read.as_json(bytes bytea) returns jsonb language plpgsql immutable strict as $$
begin
    return convert_from(bytes, 'UTF8')::jsonb;
exception when data_exception or program_limit_exceeded then
    return null;
end $$;
create function cqrs_read.as_json(value text) returns jsonb language plpgsql immutable strict as $$
begin
    return value::jsonb;
exception when data_exception or program_limit_exceeded then
    return null;
end $$;
-- Returns the part of a stream before or after its first separator: the aggregate's name, or its id.
create function cqrs_read.name_of(stream text) returns text language sql immutable strict as
    $$ select split_part(stream, '/', 1) $$;
create function cqrs_read.id_of(stream text) returns text language sql immutable strict as
    $$ select case position('/' in stream) when 0 then '' else substr(stream, position('/' in stream) + 1) end $$;

-- The events of all aggregates, those that were moved to the archive included. `stream` has an index together with `version`,
-- and `position` has one. The columns from `topic` on describe the integration event that leaves with the event, until retention
-- removes it.
create view cqrs_read.events as
select l.pos as position, l.stream, cqrs_read.name_of(l.stream) as aggregate, cqrs_read.id_of(l.stream) as id, l.version,
    l.name as event, l.schema as event_version, l.id as event_id, l.occurred_at, cqrs_read.as_json(l.payload) as payload,
    cqrs_read.as_text(l.payload) as raw_payload, m.metadata ->> 'correlation' as correlation_id,
    m.metadata ->> 'causation' as causation_id, m.metadata ->> 'caller' as caller, l.topic, l.message_key, l.message_type
from (select pos, stream, version, name, schema, id, occurred_at, payload, metadata, topic, message_key, message_type from cqrs.log
    union all select pos, stream, version, name, schema, id, occurred_at, payload, metadata, topic, message_key, message_type
    from cqrs.archived_log) l
cross join lateral (select cqrs_read.as_json(l.metadata::text) as metadata) m;

-- The state of the aggregates that are stored as state. `aggregate` and `id` together have an index. The state of an aggregate in
-- a table of one's own is in that table, and here its text is empty.
create view cqrs_read.aggregates as
select s.kind as aggregate, s.id, s.version, s.value is null as is_deleted, cqrs_read.as_json(s.value) as state,
    cqrs_read.as_text(s.value) as raw_state
from cqrs.state s;

-- The values of unique fields, and the aggregates that hold them. `field` and `value` together have an index.
create view cqrs_read.unique_values as
select r.name as field, r.value, cqrs_read.name_of(r.owner) as aggregate, cqrs_read.id_of(r.owner) as id
from cqrs.reservation r;

-- The values of the read models. `view` and `key` together have an index.
create view cqrs_read.views as
select v.view, v.key, v.version, v.value is null as is_removed, cqrs_read.as_json(v.value) as value,
    cqrs_read.as_text(v.value) as raw_value
from cqrs.view v;

-- The readers of the log and of topics. `lag` counts positions of the log for a projection or a subscriber, and messages for a
-- relay shard; it is null for a reader of a topic, whose checkpoint is an offset of the broker.
create view cqrs_read.readers as
select r.reader, k.kind, r.checkpoint, case k.kind
        when 'projection' then greatest(e.last - r.checkpoint, 0)
        when 'subscriber' then greatest(e.last - r.checkpoint, 0)
        when 'relay' then (select count(*) from cqrs.log l where l.topic is not null and l.pos > r.checkpoint
            and l.shard = substring(r.reader from '[0-9]+$')::smallint)
    end as lag, r.owner as lease_owner, r.expires as lease_expires_at, coalesce(r.expires > clock_timestamp(), false) as is_leased
from cqrs.reader r
cross join lateral (select case
        when r.reader ~ '^relay/([^/]+/)?[0-9]{1,4}$' then 'relay'
        when r.reader ~ '^subscriber/' then 'subscriber'
        when r.reader ~ '^projection/[^/]+$' then 'projection'
        when r.reader ~ '^projection/[^/]+/' then 'projection of a topic'
        else 'other' end as kind) k
cross join (select coalesce(max(pos), 0) as last from cqrs.log) e;

-- The parked messages (an ordered dead-letter queue), each with its content: that of the record, or of the service's own event.
-- `reader`, `key` and `number` together have an index. `position` is a position of the log, or an offset of the topic.
create view cqrs_read.parked as
select p.seq as number, p.reader, p.key, p.message as message_id, p.topic, p.part as partition, p.at as position, p.error,
    p.attempts, p.since as parked_at, p.record_time, coalesce(l.name, a.name, '') as event,
    cqrs_read.as_json(coalesce(p.body, l.payload, a.payload)) as payload,
    cqrs_read.as_text(coalesce(p.body, l.payload, a.payload)) as raw_payload
from cqrs.parked p left join cqrs.log l on p.topic is null and l.pos = p.at
left join cqrs.archived_log a on p.topic is null and a.pos = p.at;

-- The programs that have started with this database.
create view cqrs_read.programs as
select p.number, d.declaration ->> 'service' as service, p.first_started as first_started_at,
    p.last_started as last_started_at, d.declaration, p.declaration as raw_declaration
from cqrs.program p cross join lateral (select cqrs_read.as_json(p.declaration) as declaration) d;
