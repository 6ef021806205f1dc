//! Tests of authentication between services.
mod settings; // flags, variables and files
mod tokens; // signed and forged tokens
