-- Aggregates whose value of a unique field is not reserved, because another one holds it or because it cannot be read. They
-- were written by a program in which the field was not unique.
create table cqrs_unreserved (
    name text not null,
    owner text not null,
    primary key (name, owner)
) without rowid;

-- The values of stored aggregates are reserved by their owners.
create index cqrs_reservation_by_owner on cqrs_reservation (owner, name);
