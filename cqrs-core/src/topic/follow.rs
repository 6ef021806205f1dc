//! Projections of other services' events: the position lies beside the view, so the broker's own offsets are only a hint. Marks lie
//! there too, since a broker may hold one event twice.
use crate::{
    Fault, Recorded,
    app::{Raw, Shared},
    batch::{Mark, Move, Rejected},
    envelope,
    log::Step,
    projection::Follower,
    transport::{Partition, Received, Signal, Subscription},
};
use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fmt,
    sync::Arc,
};

/// A projection on a topic: per partition, the next offset it wants.
pub struct TopicFollower {
    shared: Arc<Shared>,
    follower: Follower,
    subscription: Box<dyn Subscription>,
    /// The next offset of each partition that is ours; what the database says.
    next: HashMap<Partition, u64>,
    /// Ours, and not yet gone to where the database says.
    unplaced: Vec<Partition>,
    /// Received and not applied yet.
    pending: BTreeMap<Partition, Vec<Received>>,
}
impl TopicFollower {
    pub(crate) fn new(shared: Arc<Shared>, follower: Follower, subscription: Box<dyn Subscription>) -> Self {
        TopicFollower {
            shared,
            follower,
            subscription,
            next: HashMap::new(),
            unplaced: Vec::new(),
            pending: BTreeMap::new(),
        }
    }
    /// The projection's stored name.
    pub fn name(&self) -> String {
        self.follower.reader()
    }
    /// Whether the next step applies something, and does not wait.
    pub(crate) fn has_received(&self) -> bool {
        !self.pending.is_empty()
    }
    fn reader(&self, partition: &Partition) -> String {
        format!("{}/{partition}", self.follower.reader())
    }
    /// Applies what was received; with nothing there, waits for the next signal.
    ///
    /// # Errors
    /// When the database or the transport fails, or an event cannot be applied: nothing has moved, call it again.
    pub async fn step(&mut self) -> Result<Step, Fault> {
        self.place().await?;
        let Some((partition, records)) = self.pending.pop_first() else { return self.receive().await };
        let count = records.len();
        if let Err(fault) = self.apply(&partition, &records).await {
            self.pending.insert(partition, records);
            return Err(fault);
        }
        Ok(Step::Did(count))
    }
    /// Goes to where the database says. When it does not answer, nothing is applied before it does: without the seek the broker
    /// would decide where to begin.
    async fn place(&mut self) -> Result<(), Fault> {
        while let Some(partition) = self.unplaced.last() {
            let next = stored(&self.shared, self.reader(partition)).await?;
            self.subscription.seek(partition, next);
            self.next.extend(self.unplaced.pop().map(|partition| (partition, next)));
        }
        Ok(())
    }
    async fn receive(&mut self) -> Result<Step, Fault> {
        let signal = self.subscription.next().await;
        match signal.map_err(|e| Fault::unavailable("the broker cannot be reached").because(e))? {
            Signal::Assigned(partitions) => {
                self.unplaced.extend(partitions);
                self.place().await?;
            }
            Signal::Revoked(partitions, _drained) => {
                self.unplaced.retain(|it| !partitions.contains(it));
                for partition in &partitions {
                    self.next.remove(partition);
                    self.pending.remove(partition);
                }
            }
            Signal::Records(records) => {
                for record in records {
                    self.pending.entry(record.partition.clone()).or_default().push(record);
                }
            }
        }
        Ok(Step::Did(0))
    }
    /// What lies before the stored position was applied before, whatever the broker thinks.
    async fn apply(&mut self, partition: &Partition, records: &[Received]) -> Result<(), Fault> {
        let from = match self.next.get(partition) {
            Some(next) => *next,
            None => stored(&self.shared, self.reader(partition)).await?,
        };
        let Some(last) = records.last().map(|it| it.offset) else { return Ok(()) };
        let new = records.iter().filter(|it| it.offset >= from).cloned();
        let events = new.map(envelope::message).collect::<Result<Vec<_>, _>>();
        let events = events
            .map_err(|e| Fault::internal(format!("{partition}: a record before {last} cannot be read")).because(e))?;
        if last >= from {
            let moved = Move { reader: self.reader(partition), from, to: last + 1, epoch: None };
            let (events, marks) = first_copies(&self.shared, &self.follower, events).await?;
            match self.follower.apply(&self.shared, events, moved, marks).await {
                Ok(()) => drop(self.next.insert(partition.clone(), last + 1)),
                // Another member had this partition meanwhile: look again where it is, and skip what is done.
                Err(Rejected::Moved(_) | Rejected::Seen) => {
                    self.next.remove(partition);
                    return Box::pin(self.apply(partition, records)).await;
                }
                Err(Rejected::Fault(fault)) => return Err(fault),
                Err(rejected) => return Err(Fault::internal(format!("{} was refused", self.name())).because(rejected)),
            }
        }
        self.subscription.acknowledge(partition, last);
        Ok(())
    }
}
/// The events that are heard and were not applied before, each once, and the marks that say so from now on. A relay that does not
/// know what became of a record sends it again: the broker then holds it twice, at two offsets.
async fn first_copies(
    shared: &Shared,
    follower: &Follower,
    mut events: Vec<Recorded<Raw>>,
) -> Result<(Vec<Recorded<Raw>>, Vec<Mark>), Fault> {
    events.retain(|it| follower.hears(&it.event.name));
    if events.is_empty() {
        return Ok((events, Vec::new()));
    }
    let group = follower.reader();
    let ids: Vec<_> = events.iter().map(|it| it.id).collect();
    let mut known: HashSet<_> = shared.storage.seen(&group, &ids).await?.into_iter().collect();
    events.retain(|it| known.insert(it.id));
    let marks = events.iter().map(|it| Mark { group: group.clone(), message: it.id }).collect();
    Ok((events, marks))
}
async fn stored(shared: &Shared, reader: String) -> Result<u64, Fault> {
    let found = shared.storage.positions(&[reader]).await?;
    Ok(found.first().copied().unwrap_or(0))
}
impl fmt::Debug for TopicFollower {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TopicFollower({}, {} partitions)", self.name(), self.next.len())
    }
}
