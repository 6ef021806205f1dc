//! The readable trace of a schedule.
use super::environment::Micros;
use std::fmt;

/// The violation of an invariant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Violation {
    pub(crate) invariant: &'static str,
    pub(crate) details: String,
}
impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`: {}", self.invariant, self.details)
    }
}

/// Formats the trace, one line for each event.
pub(crate) fn lines(trace: &[(Micros, String)]) -> String {
    trace.iter().map(|(at, line)| format!("{:>12.3} ms  {line}\n", *at as f64 / 1000.0)).collect()
}
