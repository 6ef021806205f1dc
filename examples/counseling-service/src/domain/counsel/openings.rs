//! The ceiling of the counsels that a person opens.
use super::{CounselError, UserId};
use cqrs_core::{Aggregate, Event, Evolve, Timestamp};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The number of counsels that a person may open within [`CEILING_PERIOD`].
pub const MOST_COUNSELS: usize = 100;
/// The time for which a counsel counts towards [`MOST_COUNSELS`] after its opening.
pub const CEILING_PERIOD: Duration = Duration::from_secs(30 * 24 * 3600);

/// The openings of one person that count towards the ceiling. There is one for each person, so that concurrent openings
/// conflict.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Aggregate)]
#[aggregate(name = "openings", event = OpeningsEvent)]
pub struct Openings {
    #[id]
    user: UserId,
    /// The times of the latest openings in their order, at most [`MOST_COUNSELS`].
    times: Vec<Timestamp>,
}

/// The event of a person's openings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Event)]
#[event(name = "openings", version = 1)]
pub enum OpeningsEvent {
    /// The person opened a counsel.
    Counted { at: Timestamp },
}

impl Openings {
    /// Counts a person's first opening.
    pub fn first(now: Timestamp) -> OpeningsEvent {
        OpeningsEvent::Counted { at: now }
    }
    /// Counts another opening.
    ///
    /// # Errors
    /// Fails while [`MOST_COUNSELS`] openings are within the period.
    pub fn count(&self, now: Timestamp) -> Result<OpeningsEvent, CounselError> {
        let within = self.times.iter().filter(|at| now < **at + CEILING_PERIOD).count();
        if within < MOST_COUNSELS { Ok(OpeningsEvent::Counted { at: now }) } else { Err(CounselError::TooManyCounsels) }
    }
}

impl Evolve<OpeningsEvent> for Openings {
    fn create(user: UserId, event: &OpeningsEvent) -> Option<Self> {
        let OpeningsEvent::Counted { at } = *event;
        Some(Openings { user, times: vec![at] })
    }
    fn apply(&mut self, event: &OpeningsEvent) {
        let OpeningsEvent::Counted { at } = *event;
        self.times.push(at);
        let surplus = self.times.len().saturating_sub(MOST_COUNSELS);
        self.times.drain(..surplus);
    }
}
