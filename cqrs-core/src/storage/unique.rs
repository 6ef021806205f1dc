//! Types for the unique values of aggregates that were stored by a program whose field was not unique.

/// The unique values of stored aggregates of one kind, as they were read.
///
/// [`Storage::reserve_stored`](crate::storage::Storage::reserve_stored) makes the reservations of these aggregates equal
/// to them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredValues {
    /// The name of the unique index, such as `user.nickname`.
    pub index: String,
    /// The name of the aggregate type.
    pub kind: String,
    /// True if the aggregates are rows, false if they are streams alone.
    pub is_state_stored: bool,
    /// The aggregates, each once.
    pub owners: Vec<ValueOwner>,
}

/// A stored aggregate with its unique values in one index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValueOwner {
    /// The aggregate's id.
    pub id: String,
    /// The version at which the values were read.
    pub version: u64,
    /// The values, of which a deleted aggregate has none. `None` means that they cannot be read or reserved: then the
    /// reservations of the aggregate stay as they are.
    pub values: Option<Vec<String>>,
}

/// The result of reserving the values of one stored aggregate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ValueReservation {
    /// The aggregate holds its values and no others.
    Reserved,
    /// The aggregate has another version, so nothing was done.
    Changed,
    /// Other aggregates hold values of this one. The storage lists it as unreserved.
    Shared {
        /// The streams of the aggregates that hold the values. One that took its value at the same time is left out.
        holders: Vec<String>,
    },
    /// The values were not given. The storage lists the aggregate as unreserved.
    NotReservable,
}
