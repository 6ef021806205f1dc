//! Several commands in a row, with a question to the outside between them. A flow that was cut can be run again.
mod open_counsel;
mod reply;
mod send_message;

pub use open_counsel::{Begun, OpenCounsel, open_counsel};
pub use reply::Answered;
pub use send_message::send_message;
