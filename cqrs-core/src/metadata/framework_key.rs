//! The idempotency keys that the framework makes: for commands of subscribers, of timers and of other services.
use crate::Timestamp;
use uuid::Uuid;

/// The start of the keys that the framework makes for the commands of subscribers. It ends with a space, which no key
/// in a header can contain.
const OF_SUBSCRIBERS: &str = "subscriber ";
/// The start of the keys that the framework makes for the commands of timers.
const OF_TIMERS: &str = "timer ";
/// The start of the keys of the commands that other services send.
const OF_OTHER_SERVICES: &str = "remote ";

/// Returns the key of the command that a timer sends at one of its times.
pub(crate) fn of_timer(id: Uuid, due: Timestamp) -> String {
    format!("{OF_TIMERS}{id}/{}", due.timestamp_micros())
}
/// Returns the key that the command of a timer or of another service passes on, which is its own in a form that fits
/// into a header.
///
/// It is none of the framework's keys, so a second command with it has to be the same as the first one.
pub(super) fn passed_on(key: String) -> String {
    let in_a_header = |of: &str| key.strip_prefix(of).map(|rest| format!("{}/{rest}", of.trim_end()));
    [OF_TIMERS, OF_OTHER_SERVICES].into_iter().find_map(in_a_header).unwrap_or(key)
}

/// Returns the key of the command that a subscriber sends as the `number`-th for a message.
///
/// The event's id makes it unique, so the content is not compared: a subscriber that runs again may put a new time or id
/// into its command, and the command is still the same.
pub(crate) fn of_subscriber(group: &str, message: Uuid, number: u32) -> String {
    format!("{OF_SUBSCRIBERS}{group}/{message}/{number}")
}

/// Returns the key of a command that another service has sent in this message.
///
/// The message's id is the command's idempotency key. The content is not compared: a later program may map the same
/// message to another command.
pub(crate) fn of_other_service(message: Uuid) -> String {
    format!("{OF_OTHER_SERVICES}{message}")
}

/// Returns whether the framework has made the key. The content of a command is not compared then.
pub(crate) fn is_one(key: &str) -> bool {
    [OF_SUBSCRIBERS, OF_TIMERS, OF_OTHER_SERVICES].iter().any(|of| key.starts_with(of))
}
