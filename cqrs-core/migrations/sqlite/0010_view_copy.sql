-- The copy of a view that serves its reads, once a rebuild has switched it. Without a row, it is copy 0, whose values are stored
-- under the view's own name. Those of copy n are stored as `view~n`.
create table cqrs_view_copy (
    view text primary key,
    copy integer not null,
    stored text not null
) without rowid;
