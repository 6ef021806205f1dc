-- Aggregates whose value of a unique field is not reserved, because another one holds it or because it cannot be read. They
-- were written by a program in which the field was not unique.
create table cqrs.unreserved (name text collate "C", owner text collate "C", primary key (name, owner));

-- The values of stored aggregates are reserved by their owners.
create index reservation_by_owner on cqrs.reservation (owner, name);
