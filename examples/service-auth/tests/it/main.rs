//! Tests of authentication between services.
mod keys; // keys that overlap, and are read again
mod log; // security events
mod settings; // flags, variables and files
mod tokens; // signed and forged tokens
