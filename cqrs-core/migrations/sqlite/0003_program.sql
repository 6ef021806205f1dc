-- The programs that have started with this database, in the order of their first start, each with its declaration: its
-- aggregates, views and readers. A program with another declaration is another program.
create table cqrs_program (
    number integer primary key autoincrement,
    declaration text not null unique,
    first_started integer not null default (cast(unixepoch('subsec') * 1000000 as integer)),
    last_started integer not null default (cast(unixepoch('subsec') * 1000000 as integer))
);

-- A newer program looks for the messages that were left to it.
create index cqrs_parked_left_to_newer_program on cqrs_parked (reader, key)
    where error = 'left to a newer program, which handles it';
