//! Counts each message of a person in their relationship with the counsellor.
use crate::domain::{
    counsel::{MessageEvent, Speaker},
    relationship::{Relationship, RelationshipId},
};
use cqrs_core::{BoxError, Infallible, Recorded, Repo, subscriber};

/// The relationship is committed together with the record that the message was handled, so a message counts once. Past
/// messages count too, each on the day it was sent.
#[subscriber(group = "counseling.relationships", from = "beginning")]
async fn count_messages(event: Recorded<MessageEvent>, relationships: Repo<Relationship>) -> Result<(), BoxError> {
    let MessageEvent::Sent(sent) = &event.event else { return Ok(()) };
    if sent.by != Speaker::Person {
        return Ok(());
    }
    let id = RelationshipId::of(sent.user, sent.counselor);
    if relationships.find(&id).await?.is_none() {
        relationships.create(id, Relationship::start(sent.user, sent.counselor, sent.at))?;
    }
    relationships.update(&id, |relationship| Ok::<_, Infallible>(relationship.count_message(sent.at))).await?;
    Ok(())
}
