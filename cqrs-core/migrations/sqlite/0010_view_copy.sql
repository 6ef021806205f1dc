-- The copy of a view that serves its reads, once a rebuild has switched it. Without a row, it is copy 0, whose values are stored
-- under the view's own name. Those of copy n are stored as `view~n`.
create table cqrs_view_copy (
    view text primary key,
    copy integer not null,
    stored text not null
) without rowid;

-- The checkpoint of a reader whose view was switched, again. A move of such a reader has to name the copy.
alter table cqrs_reader add column fence integer check (fence = checkpoint);
