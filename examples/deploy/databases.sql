-- One database per service, because a service must not read another's tables. Runs once, when compose creates the volume.
create database "user";
create database counseling;
