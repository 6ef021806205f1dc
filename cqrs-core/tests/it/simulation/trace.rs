//! What a schedule did, for people.
use super::machine::Micros;
use std::fmt;

/// An invariant that does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Broken {
    pub(crate) invariant: &'static str,
    pub(crate) what: String,
}
impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`: {}", self.invariant, self.what)
    }
}

/// One line for each thing that happened.
pub(crate) fn lines(trace: &[(Micros, String)]) -> String {
    trace.iter().map(|(at, what)| format!("{:>12.3} ms  {what}\n", *at as f64 / 1000.0)).collect()
}
