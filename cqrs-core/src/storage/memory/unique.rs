//! Reservations for aggregates that were stored before their field was unique.
use super::data::Data;
use crate::{
    event::stream_of,
    storage::{StoredValues, ValueOwner, ValueReservation},
};
use std::collections::HashMap;

impl Data {
    pub(super) fn reserve_stored(&mut self, stored: &StoredValues) -> Vec<ValueReservation> {
        let StoredValues { index, kind, is_state_stored, owners } = stored;
        let is_unchanged = |owner: &&ValueOwner| match is_state_stored {
            true => self.row(kind, &owner.id).version == owner.version,
            false => {
                let events = self.streams.get(&stream_of(kind, &owner.id)).map_or(0, Vec::len);
                events as u64 == owner.version
            }
        };
        let unchanged: Vec<_> = owners.iter().map(|owner| is_unchanged(&owner)).collect();
        let current = owners.iter().zip(&unchanged).filter(|(_, unchanged)| **unchanged).map(|(owner, _)| owner);
        let values: HashMap<String, &Vec<String>> =
            current.filter_map(|owner| Some((stream_of(kind, &owner.id), owner.values.as_ref()?))).collect();
        // All values are released before any is taken, since one can have passed from one aggregate to another.
        self.reservations.retain(|(of, value), holder| {
            of != index || values.get(holder).is_none_or(|values| values.contains(value))
        });
        let results = owners.iter().zip(unchanged).map(|(owner, unchanged)| {
            let stream = stream_of(kind, &owner.id);
            let result = match &owner.values {
                _ if !unchanged => return ValueReservation::Changed,
                None => ValueReservation::NotReservable,
                Some(values) => {
                    let mut holders = Vec::new();
                    for value in values {
                        let holder = self.reservations.entry((index.clone(), value.clone()));
                        let holder = holder.or_insert_with(|| stream.clone());
                        if *holder != stream {
                            holders.push(holder.clone());
                        }
                    }
                    match holders.is_empty() {
                        true => ValueReservation::Reserved,
                        false => ValueReservation::Shared { holders },
                    }
                }
            };
            match result {
                ValueReservation::Reserved => self.unreserved.remove(&(index.clone(), stream)),
                _ => self.unreserved.insert((index.clone(), stream)),
            };
            result
        });
        results.collect()
    }
}
