-- The programs that have started with this database, in the order of their first start, each with its declaration: its
-- aggregates, views and readers. A program with another declaration is another program.
create table cqrs.program (
    number bigint generated always as identity (cache 1) primary key,
    digest text collate "C" not null unique, declaration text not null,
    first_started timestamptz not null default now(), last_started timestamptz not null default now()
);

-- A newer program looks for the messages that were left to it.
create index parked_left_to_newer_program on cqrs.parked (reader, key)
    where error = 'left to a newer program, which handles it';
