//! The subscribers to events of this service.
mod count_messages;
