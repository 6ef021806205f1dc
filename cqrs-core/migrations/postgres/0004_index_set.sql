-- The set of indexes that a view's value has entries for, as a fingerprint. Values of another set are found through the
-- index, which has few different sets. It covers removed values too: with a condition on the value, every update of a
-- view would write all of its indexes.
alter table cqrs.view add column index_set bigint not null default 0;
create index view_by_index_set on cqrs.view (view, index_set);
