//! Projections of other services' events: the position lies beside the view, so the broker's own offsets are only a hint. Marks lie
//! there too: a broker may hold one event at two offsets.
use crate::{
    Fault,
    app::Shared,
    batch::{Batch, Mark, Move, Rejected},
    envelope,
    log::Step,
    parking::{Item, Sieve, id_of_place, key_of, park},
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
    sieves: BTreeMap<Partition, Sieve>,
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
            sieves: BTreeMap::new(),
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
    /// When the database or the transport fails, or an event cannot be applied: nothing has moved, call it again. What cannot be
    /// applied again and again is parked, and so is what comes after it of its key.
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
                    self.sieves.remove(partition);
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
        if last >= from {
            let reader = self.follower.reader();
            let item = |record: &Received| {
                let event = envelope::message(record);
                let id = event.as_ref().map_or_else(|_| id_of_place(record), |it| it.id);
                Item { event, park: park(&reader, key_of(record), id, record) }
            };
            let items = records.iter().filter(|it| it.offset >= from).map(item).collect();
            let (items, marks) = first_copies(&self.shared, &self.follower, items).await?;
            let moved = Move { reader: self.reader(partition), from, to: last + 1, epoch: None };
            let base = Batch { moves: vec![moved], marks, ..Batch::default() };
            let sieve = self.sieves.entry(partition.clone()).or_default();
            match sieve.pass(&self.shared, &self.follower, items, base).await {
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
/// What is heard and did not come before, each once, and the marks that say so from now on. A relay that does not know what became
/// of a record sends it again, and the broker then holds it twice: a position alone would let it be applied twice.
async fn first_copies(
    shared: &Shared,
    follower: &Follower,
    mut items: Vec<Item>,
) -> Result<(Vec<Item>, Vec<Mark>), Fault> {
    items.retain(|it| it.event.as_ref().map_or(true, |event| follower.hears(&event.event.name)));
    if items.is_empty() {
        return Ok((items, Vec::new()));
    }
    let group = follower.reader();
    let ids: Vec<_> = items.iter().map(|it| it.park.message).collect();
    let mut known: HashSet<_> = shared.storage.seen(&group, &ids, &[]).await?.handled.into_iter().collect();
    items.retain(|it| known.insert(it.park.message));
    let marks = items.iter().map(|it| Mark { group: group.clone(), message: it.park.message }).collect();
    Ok((items, marks))
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
