//! Tests read as given, when, then.
pub mod conformance;
