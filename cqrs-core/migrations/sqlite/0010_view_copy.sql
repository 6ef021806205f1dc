-- The copy of a view that serves its reads, once a rebuild has switched it. Without a row, it is copy 0, whose values are stored
-- under the view's own name. Those of copy n are stored as `view~n`.
create table cqrs_view_copy (
    view text primary key,
    copy integer not null,
    stored text not null
) without rowid;

-- The checkpoint of a reader whose view was switched, again. A move of such a reader has to name the copy.
alter table cqrs_reader add column fence integer check (fence = checkpoint);

-- The values of the read models, from the copy of each view that serves. `view` and `key` together have an index.
drop view cqrs_read_views;
create view cqrs_read_views as
select v.view, v.key, v.version, v.value is null as is_removed,
    case when json_valid(cast(v.value as text)) then json(cast(v.value as text)) end as value, cast(v.value as text) as raw_value
from cqrs_view v
where instr(v.view, '~') = 0 and not exists (select 1 from cqrs_view_copy c where c.view = v.view and c.copy <> 0)
union all
select c.view, v.key, v.version, v.value is null,
    case when json_valid(cast(v.value as text)) then json(cast(v.value as text)) end, cast(v.value as text)
from cqrs_view_copy c join cqrs_view v on v.view = c.stored
where c.copy <> 0;
