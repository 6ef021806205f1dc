-- The set of indexes that a view's value has entries for, as a fingerprint. Values of another set are found through the
-- index, which has few different sets.
alter table cqrs_view add column index_set integer not null default 0;
create index cqrs_view_by_index_set on cqrs_view (view, index_set);
