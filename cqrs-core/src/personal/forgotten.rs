//! The integration event of a forgotten subject.
use crate::{
    codec::{decode, encode},
    error::BoxError,
    event::{IntegrationEvent, Source, Subscribable},
};
use serde::{Deserialize, Serialize};

/// A service has forgotten a subject. Other services hear it with a subscriber, and call
/// [`Erasure::forget`](crate::app::Erasure::forget).
///
/// It is on a topic of its own, `cqrs.subjects.v1`, with the subject as its key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SubjectForgotten {
    /// The subject.
    pub subject: String,
    /// The service that was asked to forget it.
    pub service: String,
}
impl SubjectForgotten {
    pub(crate) fn new(subject: &str, service: &str) -> Self {
        SubjectForgotten { subject: subject.to_owned(), service: service.to_owned() }
    }
}
impl IntegrationEvent for SubjectForgotten {
    const NAME: &'static str = "cqrs.subject.forgotten.v1";
    const TOPIC: &'static str = "cqrs.subjects.v1";
    const CONTENT_TYPE: &'static str = "application/json";
    fn key(&self) -> String {
        self.subject.clone()
    }
    fn encode(&self) -> Result<Vec<u8>, BoxError> {
        Ok(encode(self)?)
    }
    fn decode(bytes: &[u8]) -> Result<Self, BoxError> {
        Ok(decode(bytes)?)
    }
}
impl Subscribable for SubjectForgotten {
    const SOURCE: Source =
        Source::Topic { topic: Self::TOPIC, name: Self::NAME, content_type: <Self as IntegrationEvent>::CONTENT_TYPE };
    type AggregateId = ();
    fn decode(_: &str, _: u32, bytes: &[u8]) -> Result<Self, BoxError> {
        <Self as IntegrationEvent>::decode(bytes)
    }
    fn aggregate_id(_: &str) -> Result<(), BoxError> {
        Ok(())
    }
}
