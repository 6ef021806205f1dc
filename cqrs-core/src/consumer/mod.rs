//! Consumers: projections, projectors and subscribers, on the service's own log and on topics.
mod coalescer;
mod command_bus;
mod crashes;
mod follower;
mod group;
mod inbox;
mod inline;
mod lease;
mod log_follower;
mod newer_program;
pub mod parking;
mod pending_values;
mod projection;
mod projector;
mod query_follower;
mod read_ahead;
mod receive;
mod subscriber;
mod topic_follower;
mod topics;
mod written_values;

pub use command_bus::Bus;
pub(crate) use crashes::{Crashes, Trying};
pub(crate) use follower::Follower;
pub use group::Consumer;
pub(crate) use inline::Inline;
pub use log_follower::LogFollower;
pub(crate) use newer_program::{LeftToNewerProgram, is_left};
#[cfg(feature = "testing")]
pub(crate) use projection::project;
pub use query_follower::QueryFollower;
pub use receive::receive;
pub(crate) use subscriber::handle;
pub use topic_follower::TopicFollower;
pub use topics::AcceptedTopic;
pub(crate) use topics::{accept, compare_topics, read_losses};
