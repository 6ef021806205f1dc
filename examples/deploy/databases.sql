-- One database per service: nobody reads another's tables. Run once, when compose creates the volume.
create database "user";
create database counseling;
