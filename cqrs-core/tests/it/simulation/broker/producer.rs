//! A process's client of the broker: what it sends travels in pieces, in order; each may be lost, or its acknowledgement.
use super::{Broker, member::Membership};
use crate::{
    listener::lock,
    simulation::{machine::Micros, process::Process},
};
use async_trait::async_trait;
use cqrs_core::transport::{Audience, Published, Record, Subscription, Transport, TransportError};
use std::sync::{Arc, Mutex};
use tokio::sync::Notify;

#[derive(Clone)]
pub(crate) struct Client {
    pub(crate) broker: Arc<Broker>,
    pub(crate) process: Arc<Process>,
}

/// What became of each record of one publish, and whether the rest of it is refused: a producer that numbers its records is
/// never stored with a gap.
#[derive(Default)]
pub(crate) struct Flight {
    outcomes: Mutex<Vec<Option<Outcome>>>,
    refused: Mutex<bool>,
    /// What is left leaves the process then, in order.
    held_until: Mutex<Micros>,
    moved: Notify,
}
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Stored,
    /// Not known to be stored.
    Failed,
    /// Never to be stored.
    Refused,
}
impl Flight {
    fn set(&self, pieces: std::ops::Range<usize>, outcome: Outcome) {
        lock(&self.outcomes)[pieces].fill(Some(outcome));
        self.moved.notify_one();
    }
    /// How many from the start are acknowledged, and what became of the next one.
    fn state(&self) -> (usize, Option<Outcome>) {
        let outcomes = lock(&self.outcomes);
        let acknowledged = outcomes.iter().take_while(|it| **it == Some(Outcome::Stored)).count();
        (acknowledged, outcomes.get(acknowledged).copied().flatten())
    }
}

impl Client {
    /// Sends, and does not wait for what becomes of it.
    pub(crate) fn hand_over(&self, records: &[Record]) -> Arc<Flight> {
        let flight = Arc::new(Flight::default());
        lock(&flight.outcomes).resize(records.len(), None);
        self.send(&flight, records);
        flight
    }
    fn send(&self, flight: &Arc<Flight>, records: &[Record]) {
        let machine = &self.broker.machine;
        let (mut from, mut arrives) = (0, machine.now());
        while from < records.len() {
            let to = (from + 1 + machine.choose(3) as usize).min(records.len());
            arrives += machine.delay();
            self.arrive(arrives, flight.clone(), from..to, records[from..to].to_vec());
            from = to;
        }
    }
    fn arrive(&self, at: Micros, flight: Arc<Flight>, pieces: std::ops::Range<usize>, records: Vec<Record>) {
        let client = self.clone();
        self.broker.machine.at(at, move |machine| {
            let Client { broker, process } = &client;
            let held_until = *lock(&flight.held_until);
            if machine.now() < held_until {
                return client.arrive(held_until, flight, pieces, records);
            }
            if let Some(thaws_at) = process.thaws_at()
                && !*lock(&flight.refused)
                && machine.one_in(2)
            {
                // What lay in a frozen process's own queue leaves it when it goes on, long after others have gone on.
                let leaves = thaws_at + machine.delay();
                *lock(&flight.held_until) = leaves;
                return client.arrive(leaves, flight, pieces, records);
            }
            let never_left = !process.is_alive() && machine.one_in(2);
            if *lock(&flight.refused) || broker.is_down() || never_left || broker.goes_wrong() {
                *lock(&flight.refused) = true;
                return machine.after(machine.delay(), move |_| flight.set(pieces, Outcome::Failed));
            }
            let taken = records.iter().take_while(|it| !broker.refuses(it)).count();
            records[..taken].iter().for_each(|record| broker.append(record));
            let outcome = if broker.goes_wrong() { Outcome::Failed } else { Outcome::Stored };
            let refused = pieces.start + taken;
            let pieces = (pieces.start..refused, refused..pieces.end);
            *lock(&flight.refused) |= !pieces.1.is_empty();
            machine.after(machine.delay(), move |_| {
                flight.set(pieces.0, outcome);
                flight.set(pieces.1, Outcome::Refused);
            });
        });
    }
}

#[async_trait]
impl Transport for Client {
    async fn ensure_topics(&self, _: &[&str]) -> Result<(), TransportError> {
        Ok(())
    }
    fn audiences(&self, _: &[&str]) -> Vec<Audience> {
        vec![Audience::broker()]
    }
    async fn publish(&self, _: &Audience, records: &[Record]) -> Published {
        let flight = self.hand_over(records);
        loop {
            let (acknowledged, next) = flight.state();
            let error = match next {
                Some(Outcome::Refused) => Some(TransportError::permanent("simulated: it will never be taken")),
                Some(_) => Some(TransportError::transient("simulated: not acknowledged")),
                None => None,
            };
            if error.is_some() || acknowledged == records.len() {
                return Published { acknowledged, error };
            }
            flight.moved.notified().await;
        }
    }
    async fn subscribe(&self, group: &str, topics: &[&str]) -> Result<Box<dyn Subscription>, TransportError> {
        self.broker.machine.sleep(self.broker.machine.delay()).await;
        if self.broker.is_down() {
            return Err(TransportError::transient("simulated: the broker is away"));
        }
        let member = self.broker.join(group, topics, &self.process);
        let wake = self.broker.state().members[&member].wake.clone();
        Ok(Box::new(Membership { broker: self.broker.clone(), member, wake }))
    }
}
