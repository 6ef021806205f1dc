-- The rights of the role with which a service runs, :"service", and of the role for reports, :"reader". Run it in the service's
-- database as the role that migrates, after each migration:
-- psql --set=service=user_service --set=reader=user_reader --file=grants.sql
-- It cannot create, change or drop a table. The log, which has the audit, is append-only: of an entry only the copy that was
-- published is emptied, by retention.
begin;
grant usage on schema cqrs to :"service";
revoke all on all tables in schema cqrs from :"service";
grant select on all tables in schema cqrs to :"service";
grant insert on cqrs.log to :"service";
grant update (topic, message_key, shard, message_type, content_type, message_body) on cqrs.log to :"service";
grant insert, update on cqrs.snapshot, cqrs.state, cqrs.reader, cqrs.program, cqrs.subject_key, cqrs.view_copy to :"service";
grant insert, update, delete on cqrs.inbox, cqrs.note, cqrs.parked, cqrs.reservation, cqrs.stored_response,
  cqrs.timer, cqrs.unreserved, cqrs.view, cqrs.view_index to :"service";
grant usage, select on all sequences in schema cqrs to :"service";
-- The role for reports sees every value through the views of the schema `cqrs_read`, and has no right on a table.
revoke all on all tables in schema cqrs_read from :"reader";
grant usage on schema cqrs_read to :"reader";
grant select on all tables in schema cqrs_read to :"reader";
commit;
