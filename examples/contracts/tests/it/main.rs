//! Is what `proto/` promises what the services speak?

#[cfg(feature = "events")]
mod events; // each event, as cqrs-core tells and hears it
mod promised; // every field, enum value, rpc and event, against a checked in list
mod wire; // bytes as the original's peers send and expect them
