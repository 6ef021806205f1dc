//! The crisis detector: finds messages that speak of a danger to somebody, before any model and without one.
//!
//! It is a set of rules over stems, with exclusions for idioms, reports and denials. It is no diagnosis; its measured
//! recall and precision stand in `docs/crisis-detector.md`.
mod notice;
mod record;
mod rules;
#[cfg(test)]
mod tests;

pub use notice::{Language, Notice};
pub use record::{CrisisEvent, CrisisRecord};

use super::korean::Text;
use serde::{Deserialize, Serialize};

/// A danger that a message speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Crisis {
    /// Self-harm or suicide, of the person or of somebody near.
    SelfHarm,
    /// Words that may mean self-harm, such as 죽을 것 같아요. The person is asked.
    PossibleSelfHarm,
    /// The wish or the plan to hurt somebody else.
    HarmToOthers,
    /// Violence, sexual violence, stalking or neglect that somebody suffers.
    Abuse,
}

/// Returns the danger that a message speaks of.
///
/// ```
/// use counseling_service::domain::crisis::{Crisis, detect};
///
/// assert_eq!(detect("죽고만 싶어요"), Some(Crisis::SelfHarm));
/// assert_eq!(detect("죽을 것 같아요"), Some(Crisis::PossibleSelfHarm));
/// assert_eq!(detect("웃겨 죽겠어요"), None);
/// ```
pub fn detect(message: &str) -> Option<Crisis> {
    rules::first(&Text::normalise(message))
}
