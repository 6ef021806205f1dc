//! How far a lane has come: over what is acknowledged, and over what is put aside because the broker will never take it.
use crate::{
    Position,
    batch::Park,
    parking::{head, in_words, park_entry},
    transport::{Published, TransportError},
};
use uuid::Uuid;

/// An entry that the lane is to pass: sent, or put aside behind others of its key.
pub(super) struct Passing {
    pub(super) position: Position,
    pub(super) id: Uuid,
    pub(super) key: String,
    pub(super) aside: bool,
}

/// How far a lane came.
pub(super) struct Passed {
    /// The last position that is acknowledged or put aside, and how many were acknowledged.
    pub(super) to: Option<(Position, usize)>,
    pub(super) parks: Vec<Park>,
    /// The key of a record that the broker will never take.
    pub(super) refused: Option<String>,
    pub(super) error: Option<TransportError>,
}
pub(super) fn passed(reader: &str, passing: Vec<Passing>, published: Published) -> Passed {
    let Published { acknowledged, mut error } = published;
    let (mut parks, mut to, mut left, mut refused) = (Vec::new(), None, acknowledged, None);
    for Passing { position, id, key, aside } in passing {
        let park = park_entry(reader, key, id, position.0);
        if aside {
            parks.push(park);
        } else if left > 0 {
            left -= 1;
        } else if let Some(why) = error.take_if(|it| it.permanent) {
            let why = in_words(&why);
            tracing::error!(reader, key = park.key, %id, error = why, "parked, with what comes after it of its key");
            refused = Some(park.key.clone());
            parks.push(head(park, why, 1));
            to = Some((position, acknowledged));
            break;
        } else {
            break;
        }
        to = Some((position, acknowledged));
    }
    Passed { to, parks, refused, error }
}
