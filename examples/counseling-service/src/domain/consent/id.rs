//! The id of a consent: the person and the kind.
use crate::domain::counsel::UserId;
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// Identifies a consent by the person and the kind, so there is one of each.
///
/// ```
/// use counseling_service::domain::consent::{ConsentId, ConsentKind};
///
/// let text = "0190163d-8694-739b-aea5-966c26f8ad91/foreign-model";
/// let id: ConsentId = text.parse().unwrap();
/// assert_eq!((id.kind, id.to_string().as_str()), (ConsentKind::ForeignModel, text));
/// assert!("0190163d-8694-739b-aea5-966c26f8ad91".parse::<ConsentId>().is_err());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ConsentId {
    pub person: UserId,
    pub kind: ConsentKind,
}

/// The kind of processing that a person consents to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum ConsentKind {
    /// The processing of messages, which may concern the person's health.
    SensitiveData,
    /// A language model abroad receives the messages.
    ForeignModel,
}
impl ConsentKind {
    /// All kinds.
    pub const ALL: [ConsentKind; 2] = [ConsentKind::SensitiveData, ConsentKind::ForeignModel];

    fn name(self) -> &'static str {
        match self {
            ConsentKind::SensitiveData => "sensitive-data",
            ConsentKind::ForeignModel => "foreign-model",
        }
    }
}

impl fmt::Display for ConsentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.person, self.kind.name())
    }
}

/// The error of text that is not the id of a consent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not the id of a consent")]
pub struct InvalidConsentId;

impl FromStr for ConsentId {
    type Err = InvalidConsentId;
    fn from_str(text: &str) -> Result<Self, InvalidConsentId> {
        let (person, name) = text.split_once('/').ok_or(InvalidConsentId)?;
        let kind = ConsentKind::ALL.into_iter().find(|kind| kind.name() == name).ok_or(InvalidConsentId)?;
        Ok(ConsentId { person: person.parse().map_err(|_| InvalidConsentId)?, kind })
    }
}
