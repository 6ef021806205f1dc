//! App.
mod registry;
use crate::context::Provided;
pub use registry::Registration;
pub(crate) struct Shared {
    pub(crate) provided: Provided,
}
