//! Processes: several commands in order, with calls to the user service and the responder between them. An interrupted
//! process can be run again.
mod confirmation;
mod open_counsel;
mod reply;
mod send_message;

pub use confirmation::Requested;
pub use open_counsel::{OpenCounsel, OpenCounselResult, open_counsel};
pub use reply::ExchangeResult;
pub use send_message::send_message;
