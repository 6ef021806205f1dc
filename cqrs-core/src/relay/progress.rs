//! The progress of a relay shard: the entries that its checkpoint passes because they were acknowledged or parked.
use crate::{
    consumer::parking::{head, park_entry},
    error::describe,
    position::Position,
    storage::Park,
    transport::{Published, TransportError},
};
use uuid::Uuid;

/// An entry of a publish.
pub(super) struct QueuedEntry {
    pub(super) position: Position,
    pub(super) id: Uuid,
    pub(super) key: String,
    pub(super) topic: String,
    pub(super) turn: Turn,
}
/// The treatment of an entry by a publish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    Sent,
    /// It is parked behind earlier entries of its key.
    Parked,
    /// It waits because the broker refuses its topic. Another publish sends it later.
    Waits,
}

/// The progress of a shard after a publish.
pub(super) struct Progress {
    /// The last position that was acknowledged or parked, with the number of acknowledged records.
    pub(super) to: Option<(Position, usize)>,
    pub(super) parks: Vec<Park>,
    /// The key of a record that the broker rejected permanently.
    pub(super) refused: Option<String>,
    pub(super) error: Option<TransportError>,
    /// The topic that the broker refuses, the position of the refused record, and the error.
    pub(super) waits: Option<(String, Position, TransportError)>,
}
pub(super) fn progress(reader: &str, queued: Vec<QueuedEntry>, published: Published) -> Progress {
    let Published { acknowledged, mut error } = published;
    let (mut parks, mut to, mut left) = (Vec::new(), None, acknowledged);
    let (mut refused, mut waits) = (None, None);
    for QueuedEntry { position, id, key, topic, turn } in queued {
        let park = park_entry(reader, key, id, position.0);
        match turn {
            Turn::Waits => (),
            Turn::Parked => parks.push(park),
            Turn::Sent if left > 0 => left -= 1,
            Turn::Sent => {
                if let Some(error) = error.take_if(|error| error.permanent) {
                    let reason = describe(&error);
                    let key = &park.key;
                    tracing::error!(
                        reader,
                        key,
                        %id,
                        error = reason,
                        "message parked, with the later messages of its key"
                    );
                    refused = Some(park.key.clone());
                    parks.push(head(park, reason, 1));
                    to = Some((position, acknowledged));
                } else if let Some(error) = error.take_if(|error| error.of_topic) {
                    waits = Some((topic, position, error));
                }
                break;
            }
        }
        to = Some((position, acknowledged));
    }
    Progress { to, parks, refused, error, waits }
}
