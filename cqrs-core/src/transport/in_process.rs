//! A broker for one process.
/// To come.
#[derive(Debug)]
pub struct InProcess;
