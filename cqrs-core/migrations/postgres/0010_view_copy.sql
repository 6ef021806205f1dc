-- The copy of a view that serves its reads, once a rebuild has switched it. Without a row, it is copy 0, whose values are stored
-- under the view's own name. Those of copy n are stored as `view~n`.
create table cqrs.view_copy (
    view text collate "C" primary key, copy bigint not null, stored text collate "C" not null
);

-- The checkpoint of a reader whose view was switched, again. A program that knows copies writes both columns. One of a former
-- version writes `checkpoint` alone, for the first copy of the view, so its batches are refused.
alter table cqrs.reader add column fence bigint, add constraint reader_fence check (fence = checkpoint);

-- The values of the read models, from the copy of each view that serves. `view` and `key` together have an index.
create or replace view cqrs_read.views as
select v.view, v.key, v.version, v.value is null as is_removed, cqrs_read.as_json(v.value) as value,
    cqrs_read.as_text(v.value) as raw_value
from cqrs.view v
where strpos(v.view, '~') = 0 and not exists (select from cqrs.view_copy c where c.view = v.view and c.copy <> 0)
union all
select c.view, v.key, v.version, v.value is null, cqrs_read.as_json(v.value), cqrs_read.as_text(v.value)
from cqrs.view_copy c join cqrs.view v on v.view = c.stored
where c.copy <> 0;
