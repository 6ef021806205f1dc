//! The view of a person's consents.
use crate::domain::{
    consent::{Consent, ConsentEvent, ConsentId, ConsentKind},
    counsel::UserId,
};
use cqrs_core::{Aggregate, Change, Recorded, Timestamp, View, projection};
use serde::{Deserialize, Serialize};

/// A person's consent of one kind.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, View)]
#[view(name = "consent-entry", key = ConsentId)]
#[index(by_person(person, given_at))]
pub struct ConsentEntry {
    pub person: UserId,
    pub kind: ConsentKind,
    /// The version of the text that the person consented to.
    pub text_version: String,
    pub given_at: Timestamp,
    /// The time of the withdrawal; absent while the consent is in force.
    pub withdrawn_at: Option<Timestamp>,
}

impl From<Consent> for ConsentEntry {
    fn from(consent: Consent) -> Self {
        let ConsentId { person, kind } = *consent.id();
        ConsentEntry {
            person,
            kind,
            text_version: consent.text_version().to_owned(),
            given_at: consent.given_at(),
            withdrawn_at: consent.withdrawn_at(),
        }
    }
}

#[projection(name = "consent-entry")]
fn consent_entry(event: &Recorded<ConsentEvent>) -> Change<ConsentEntry> {
    let id @ ConsentId { person, kind } = event.aggregate_id;
    match event.event.clone() {
        ConsentEvent::Given { text_version, at } => {
            ConsentEntry { person, kind, text_version, given_at: at, withdrawn_at: None }.put(id)
        }
        ConsentEvent::Withdrawn { at } => ConsentEntry::update(id, move |entry| entry.withdrawn_at = Some(at)),
    }
}
