-- The copy of a view that serves its reads, once a rebuild has switched it. Without a row, it is copy 0, whose values are stored
-- under the view's own name. Those of copy n are stored as `view~n`.
create table cqrs.view_copy (
    view text collate "C" primary key, copy bigint not null, stored text collate "C" not null
);

-- The checkpoint of a reader whose view was switched, again. A program that knows copies writes both columns. One of a former
-- version writes `checkpoint` alone, for the first copy of the view, so its batches are refused.
alter table cqrs.reader add column fence bigint, add constraint reader_fence check (fence = checkpoint);
