//! What a service does with topics: subscribers that act, projections that follow.
mod consumer;
mod follow;

pub use consumer::Consumer;
pub use follow::TopicFollower;
