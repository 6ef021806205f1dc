-- One database per service, because a service must not read another's tables. Each has two roles: the one that migrates owns
-- the schema, and the one with which the service runs changes only rows, as grants.sql says. Runs once, when compose creates
-- the volume. The passwords are set by roles.sh from files. A person who reads reports becomes a member of a `..._reader`.
create role user_migration login;
create role user_service login;
create role counseling_migration login;
create role counseling_service login;
create role user_reader nologin;
create role counseling_reader nologin;
create database "user" owner user_migration;
create database counseling owner counseling_migration;
revoke all on database "user", counseling from public;
grant connect on database "user" to user_service, user_reader;
grant connect on database counseling to counseling_service, counseling_reader;
