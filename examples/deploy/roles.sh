#!/bin/bash
# Sets the passwords of the databases' roles. Runs once in the PostgreSQL container, after databases.sql, from files that the
# superuser alone uses.
set -euo pipefail
for role in user_migration user_service counseling_migration counseling_service; do
  psql --set=ON_ERROR_STOP=1 --set=password="$(cat "/run/secrets/database_$role")" --username=postgres <<SQL
alter role $role password :'password';
SQL
done
