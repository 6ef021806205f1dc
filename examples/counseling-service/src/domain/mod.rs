//! The rules: no waiting, no input or output, no refusal that is not a rule.
pub mod counsel;
pub mod counselor;
pub mod prompt;
