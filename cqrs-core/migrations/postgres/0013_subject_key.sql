-- The keys with which the personal values of subjects are encrypted, each encrypted with a master key. A forgotten key has no
-- bytes, and its row stays. The subject is an id.
create table cqrs.subject_key (
    id uuid primary key, subject text collate "C" not null, generation bigint not null,
    master text collate "C", wrapped bytea,
    created_at timestamptz not null default now(), forgotten_at timestamptz,
    constraint subject_key_generation unique (subject, generation),
    constraint subject_key_forgotten check ((master is null) = (wrapped is null)
        and (wrapped is null) = (forgotten_at is not null))
);
create index subject_key_by_master on cqrs.subject_key (master) where master is not null;
