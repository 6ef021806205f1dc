//! A process's client of the broker. Records travel in pieces and in order; a piece or its acknowledgement may be lost.
use super::{Broker, member::Membership};
use crate::{
    listener::lock,
    simulation::{environment::Micros, process::Process},
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

/// The outcomes of the records of one publish. After a failure the rest is refused, because an idempotent producer
/// numbers its records and a broker stores them without gaps.
#[derive(Default)]
pub(crate) struct Flight {
    outcomes: Mutex<Vec<Option<Outcome>>>,
    refused: Mutex<bool>,
    /// The time until which the remaining pieces stay in the process. Then they leave in order.
    held_until: Mutex<Micros>,
    moved: Notify,
}
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Stored,
    /// It is unknown whether the record is stored.
    Failed,
    /// The record is refused permanently.
    Refused,
    /// The topic is refused for a time.
    TopicRefused,
}
impl Flight {
    fn set(&self, pieces: std::ops::Range<usize>, outcome: Outcome) {
        lock(&self.outcomes)[pieces].fill(Some(outcome));
        self.moved.notify_one();
    }
    /// Returns the number of acknowledged records from the start, and the outcome of the next one.
    fn state(&self) -> (usize, Option<Outcome>) {
        let outcomes = lock(&self.outcomes);
        let acknowledged = outcomes.iter().take_while(|outcome| **outcome == Some(Outcome::Stored)).count();
        (acknowledged, outcomes.get(acknowledged).copied().flatten())
    }
}

impl Client {
    /// Sends the records without waiting for their outcome.
    pub(crate) fn hand_over(&self, records: &[Record]) -> Arc<Flight> {
        let flight = Arc::new(Flight::default());
        lock(&flight.outcomes).resize(records.len(), None);
        self.send(&flight, records);
        flight
    }
    fn send(&self, flight: &Arc<Flight>, records: &[Record]) {
        let environment = &self.broker.environment;
        let (mut from, mut arrives) = (0, environment.now());
        while from < records.len() {
            let to = (from + 1 + environment.choose(3) as usize).min(records.len());
            arrives += environment.delay();
            self.arrive(arrives, flight.clone(), from..to, records[from..to].to_vec());
            from = to;
        }
    }
    fn arrive(&self, at: Micros, flight: Arc<Flight>, pieces: std::ops::Range<usize>, records: Vec<Record>) {
        let client = self.clone();
        self.broker.environment.at(at, move |environment| {
            let Client { broker, process } = &client;
            let held_until = *lock(&flight.held_until);
            if environment.now() < held_until {
                return client.arrive(held_until, flight, pieces, records);
            }
            if let Some(thaws_at) = process.thaws_at()
                && !*lock(&flight.refused)
                && environment.one_in(2)
            {
                // Records in the queue of a frozen process leave it when it is thawed, long after those of other
                // processes.
                let leaves = thaws_at + environment.delay();
                *lock(&flight.held_until) = leaves;
                return client.arrive(leaves, flight, pieces, records);
            }
            let never_left = !process.is_alive() && environment.one_in(2);
            if *lock(&flight.refused) || broker.is_down() || never_left || broker.fails() {
                *lock(&flight.refused) = true;
                return environment.after(environment.delay(), move |_| flight.set(pieces, Outcome::Failed));
            }
            let refuses = |record: &Record| broker.refuses_topic(record) || broker.refuses(record);
            let taken = records.iter().take_while(|record| !refuses(record)).count();
            let of_topic = records.get(taken).is_some_and(|record| broker.refuses_topic(record));
            let refusal = if of_topic { Outcome::TopicRefused } else { Outcome::Refused };
            records[..taken].iter().for_each(|record| broker.append(record));
            let outcome = if broker.fails() { Outcome::Failed } else { Outcome::Stored };
            let refused = pieces.start + taken;
            let pieces = (pieces.start..refused, refused..pieces.end);
            *lock(&flight.refused) |= !pieces.1.is_empty();
            environment.after(environment.delay(), move |_| {
                flight.set(pieces.0, outcome);
                flight.set(pieces.1, refusal);
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
                Some(Outcome::Refused) => {
                    Some(TransportError::permanent("simulated: the record is refused permanently"))
                }
                Some(Outcome::TopicRefused) => {
                    Some(TransportError::transient("simulated: the topic is refused").of_topic())
                }
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
        self.broker.environment.sleep(self.broker.environment.delay()).await;
        if self.broker.is_down() {
            return Err(TransportError::transient("simulated: the broker is down"));
        }
        let member = self.broker.join(group, topics, &self.process);
        let wake = self.broker.state().members[&member].wake.clone();
        Ok(Box::new(Membership { broker: self.broker.clone(), member, wake }))
    }
}
