//! Registry.
/// Reg.
#[derive(Debug)]
pub struct Registration;
