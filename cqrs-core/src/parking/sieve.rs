//! What of a run of events is applied and what is put aside, for readers with a position: what cannot be applied, and what
//! comes after it of its key.
use super::{Class, class, head, in_words};
use crate::{
    BoxError, Recorded,
    app::{Raw, Shared},
    batch::{Batch, Park, Rejected},
    projection::{Follower, Unappliable},
};
use std::{collections::BTreeSet, error::Error, sync::Arc};
use uuid::Uuid;

/// An event on its way to a follower, and what is parked if it does not arrive.
pub(crate) struct Item {
    pub(crate) event: Result<Recorded<Raw>, BoxError>,
    pub(crate) park: Park,
}

#[derive(Default)]
pub(crate) struct Sieve {
    /// Keys with something parked. Nobody else parks for this reader without moving it, so once read it can only be too many.
    keys: Option<BTreeSet<String>>,
    /// What could not be applied the last time.
    trouble: Option<Trouble>,
}
struct Trouble {
    message: Uuid,
    failures: u32,
    /// Why it is put aside now.
    given_up: Option<String>,
}

impl Sieve {
    /// Applies what can be applied and puts the rest aside, together with what is in the batch (the reader's move, marks): all or
    /// nothing.
    pub(crate) async fn pass(
        &mut self,
        shared: &Arc<Shared>,
        follower: &Follower,
        items: Vec<Item>,
        base: Batch,
    ) -> Result<(), Rejected> {
        if self.keys.is_none() {
            let parked = shared.storage.parked_keys(&[follower.reader()]).await?;
            self.keys = Some(parked.into_iter().map(|it| it.key).collect());
        }
        let mut fresh = BTreeSet::new();
        let (mut events, mut parks) = (Vec::new(), Vec::new());
        for Item { event, park } in items {
            if event.as_ref().is_ok_and(|it| !follower.hears(&it.event.name)) {
                continue;
            }
            let given_up = self.trouble.as_ref().filter(|it| it.message == park.message);
            let given_up = given_up.and_then(|it| Some((it.given_up.clone()?, it.failures)));
            if fresh.contains(&park.key) {
                // Its head is parked with it.
                parks.push(Park { behind: false, ..park });
            } else if self.keys.as_ref().is_some_and(|keys| keys.contains(&park.key)) {
                parks.push(park);
            } else if let Some((why, failures)) = given_up {
                fresh.insert(park.key.clone());
                parks.push(head(park, why, failures));
            } else {
                match event {
                    Ok(event) => events.push(event),
                    Err(why) => {
                        fresh.insert(park.key.clone());
                        parks.push(head(park, in_words(&*why), 1));
                    }
                }
            }
        }
        for parked in parks.iter().filter(|it| it.attempts > 0) {
            let (reader, key, message) = (&parked.reader, &parked.key, parked.message);
            tracing::error!(reader, key, %message, error = parked.error, "parked, with what comes after it of its key");
        }
        let only = (events.len() == 1).then(|| events[0].id);
        match follower.apply(shared, events, Batch { parks, ..base }).await {
            Ok(()) => {
                self.trouble = None;
                self.keys.get_or_insert_default().extend(fresh);
                Ok(())
            }
            Err(rejected) => {
                // Others may have moved on; or it was committed, and the answer was lost: what is parked is looked up again.
                self.keys = None;
                if let Some(message) = culprit(&rejected).or(only) {
                    self.note(shared, message, &rejected);
                }
                Err(rejected)
            }
        }
    }
    /// Counts the failure; after the last one, the next step puts the event aside.
    fn note(&mut self, shared: &Shared, message: Uuid, rejected: &Rejected) {
        let kind = class(rejected);
        if kind == Class::Transient {
            return;
        }
        let before = self.trouble.take().filter(|it| it.message == message).map_or(0, |it| it.failures);
        let failures = before + 1;
        let over = kind == Class::Permanent || failures >= shared.retries.attempts;
        self.trouble = Some(Trouble { message, failures, given_up: over.then(|| in_words(rejected)) });
    }
}

/// The event that could not be applied, if the error says so.
fn culprit(rejected: &Rejected) -> Option<Uuid> {
    let Rejected::Fault(fault) = rejected else { return None };
    let mut next: Option<&(dyn Error + 'static)> = Some(fault);
    while let Some(it) = next {
        if let Some(Unappliable { event, .. }) = it.downcast_ref() {
            return Some(*event);
        }
        next = it.source();
    }
    None
}
