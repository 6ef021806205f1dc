-- Takes the advisory locks of a batch with reads in the given order, and then returns the ordinals whose version is the
-- stored one, or that have none to compare. Each statement of a volatile function sees what was committed before it began, while
-- the statement that calls the function sees only what was committed before its own beginning. The first number of a lock is
-- "cqrd" in ASCII.
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
