-- The keys with which the personal values of subjects are encrypted, each encrypted with a master key. A forgotten key has no
-- bytes, and its row stays. The subject is an id.
create table cqrs_subject_key (
    id blob primary key, subject text not null, generation integer not null, master text, wrapped blob,
    created_at text not null default current_timestamp, forgotten_at text,
    unique (subject, generation),
    check ((master is null) = (wrapped is null) and (wrapped is null) = (forgotten_at is not null))
);
create index cqrs_subject_key_by_master on cqrs_subject_key (master) where master is not null;
