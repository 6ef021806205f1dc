-- What the framework has to remember about the systems around a database: the identity of each topic that was read, and
-- the records that a broker has dropped before they were read.
create table cqrs_note (name text primary key, value text not null);
