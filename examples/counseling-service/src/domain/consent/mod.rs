//! A person's consent to one kind of processing. Without it no message is processed.
mod birthday;
mod error;
mod id;
#[cfg(test)]
mod tests;

pub use birthday::Birthday;
pub use error::ConsentError;
pub use id::{ConsentId, ConsentKind};

use cqrs_core::{Aggregate, Event, Evolve, Timestamp};
use serde::{Deserialize, Serialize};

/// A person's consent of one kind.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Aggregate)]
#[aggregate(name = "consent", event = ConsentEvent)]
pub struct Consent {
    #[id]
    id: ConsentId,
    text_version: String,
    given_at: Timestamp,
    withdrawn_at: Option<Timestamp>,
}

/// The events of a consent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Event)]
#[event(name = "consent", version = 1)]
pub enum ConsentEvent {
    /// The person consented to this version of the text.
    Given { text_version: String, at: Timestamp },
    /// The person withdrew the consent.
    Withdrawn { at: Timestamp },
}

/// The consents that this service requires.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsentPolicy {
    /// The current version of the text. A consent to another version does not count.
    pub text_version: String,
    /// A language model receives the messages, so consent to that is required too.
    pub foreign_model: bool,
}

impl ConsentPolicy {
    /// Returns the kinds of consent that a message requires.
    pub fn required(&self) -> &'static [ConsentKind] {
        match self.foreign_model {
            false => &[ConsentKind::SensitiveData],
            true => &[ConsentKind::SensitiveData, ConsentKind::ForeignModel],
        }
    }
    /// Checks that the person may consent: to the current text, and not below the age of consent.
    ///
    /// # Errors
    /// Fails for another version of the text, for a birthday after today, and below the age of 14.
    pub fn accepts(&self, text_version: &str, birthday: &Birthday, now: Timestamp) -> Result<(), ConsentError> {
        if text_version != self.text_version {
            return Err(ConsentError::TextVersion);
        }
        birthday.is_of_age(now)
    }
    /// Checks that a consent of this kind covers the processing of a message.
    ///
    /// # Errors
    /// Fails when there is none, when it is withdrawn, and when it is to another version of the text.
    pub fn check(&self, kind: ConsentKind, consent: Option<&Consent>) -> Result<(), ConsentError> {
        let covers = |consent: &Consent| consent.withdrawn_at.is_none() && consent.text_version == self.text_version;
        if consent.is_some_and(covers) { Ok(()) } else { Err(ConsentError::required(kind)) }
    }
}

impl Consent {
    /// Gives a consent for the first time.
    pub fn first(text_version: String, at: Timestamp) -> ConsentEvent {
        ConsentEvent::Given { text_version, at }
    }
    /// Gives the consent again. Changes nothing while the same consent is in force.
    pub fn give(&self, text_version: String, at: Timestamp) -> Option<ConsentEvent> {
        let in_force = self.withdrawn_at.is_none() && self.text_version == text_version;
        (!in_force).then_some(ConsentEvent::Given { text_version, at })
    }
    /// Withdraws the consent. Changes nothing when it is withdrawn already.
    pub fn withdraw(&self, at: Timestamp) -> Option<ConsentEvent> {
        self.withdrawn_at.is_none().then_some(ConsentEvent::Withdrawn { at })
    }
    pub fn text_version(&self) -> &str {
        &self.text_version
    }
    pub fn given_at(&self) -> Timestamp {
        self.given_at
    }
    /// Returns the time of the withdrawal; absent while the consent is in force.
    pub fn withdrawn_at(&self) -> Option<Timestamp> {
        self.withdrawn_at
    }
}

impl Evolve<ConsentEvent> for Consent {
    fn create(id: ConsentId, event: &ConsentEvent) -> Option<Self> {
        let ConsentEvent::Given { text_version, at } = event.clone() else { return None };
        Some(Consent { id, text_version, given_at: at, withdrawn_at: None })
    }
    fn apply(&mut self, event: &ConsentEvent) {
        match event.clone() {
            ConsentEvent::Given { text_version, at } => {
                (self.text_version, self.given_at, self.withdrawn_at) = (text_version, at, None);
            }
            ConsentEvent::Withdrawn { at } => self.withdrawn_at = Some(at),
        }
    }
}
