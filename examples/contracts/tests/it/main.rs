//! Tests of the contracts in `proto/`.

#[cfg(feature = "events")]
mod events; // publishing and subscribing with cqrs-core
mod promised; // fields, enum values, methods and events against a golden list
mod wire; // compatibility with the wire format of the original
