//! Unit of work: what one command loaded and staged.
/// A unit.
#[derive(Debug, Clone, Default)]
pub struct Unit;
