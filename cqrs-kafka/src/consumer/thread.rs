//! The polling thread. It polls at least every 100 ms until the subscription is dropped.
use super::{
    Notice, Requests,
    member::{Consumers, Member},
};
use crate::{credentials::Held, error};
use cqrs_core::{
    Timestamp,
    transport::{Received, UNREADABLE_HEADER},
};
use rdkafka::{
    Message,
    consumer::Consumer,
    error::{KafkaError, RDKafkaErrorCode},
    message::{BorrowedHeaders, BorrowedMessage, Headers},
};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};
use tokio::sync::watch;

/// Name of the thread in debuggers and `top`.
const THREAD: &str = "kafka-poll";
const POLL: Duration = Duration::from_millis(100);
/// Time limit of a poll while a seek is pending.
const SHORT_POLL: Duration = Duration::from_millis(10);

/// Starts the thread, which counts itself in `consumers` until it has left the group.
pub(super) fn start(
    consumer: Consumers,
    mut credentials: Held,
    requests: Arc<Requests>,
    consumers: watch::Sender<usize>,
) {
    consumers.send_modify(|count| *count += 1);
    let polling = move || {
        let member = consumer.context().clone();
        run(&consumer, &member, &mut credentials, &requests);
        let (leaving, left) = mpsc::channel::<()>(); // disconnected when the consumer has left
        thread::spawn(move || {
            if left.recv_timeout(member.longest_leave()) == Err(mpsc::RecvTimeoutError::Timeout) {
                let group = member.group();
                tracing::warn!(group, "Kafka consumer cannot leave its group; the next one does not wait for it");
                member.send(Notice::Ended);
            }
        });
        drop(consumer); // leaves the group, which blocks
        drop(leaving);
        consumers.send_modify(|count| *count -= 1);
    };
    thread::Builder::new().name(THREAD.to_owned()).spawn(polling).expect("the operating system can start a thread");
}

/// Returns when the subscription was dropped, after a fatal error, when the certificates have changed, and when the
/// consumer knows no broker any more. The group is joined again after the last three.
fn run(consumer: &Consumers, member: &Member, credentials: &mut Held, requests: &Requests) {
    loop {
        if !credentials.look(consumer.client()) {
            let group = member.group();
            tracing::info!(group, "Kafka consumer leaves its group and joins it again with the changed certificates");
            return;
        }
        if member.has_lost_brokers() {
            let group = member.group();
            tracing::warn!(group, "Kafka consumer knows no broker any more; a new one joins the group");
            return;
        }
        member.store_offsets(consumer);
        member.seek(consumer);
        member.pause_and_resume(consumer);
        let wait = {
            let pending = requests.pending();
            if pending.leave {
                return;
            }
            if pending.seek.is_empty() { POLL } else { SHORT_POLL }
        };
        if let Err(error) = read(consumer, member, wait) {
            let fatal = matches!(error, KafkaError::MessageConsumptionFatal(_));
            match error.rdkafka_error_code() {
                Some(code) if !fatal && error::is_recovered_by_client(code) => {
                    let group = member.group();
                    tracing::warn!(group, %code, "Kafka consumer reports an error; librdkafka recovers by itself");
                }
                Some(RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic) if !fatal => {
                    let group = member.group();
                    tracing::warn!(group, "a topic of a group does not exist yet; its owner creates it");
                }
                _ => member.send(Notice::Error(error::from_kafka(&member.subject(), &error))),
            }
            if fatal {
                return;
            }
        }
    }
}

/// Reads the available records and sends them to the async side. Waits for the first one.
fn read(consumer: &Consumers, member: &Member, mut wait: Duration) -> Result<(), KafkaError> {
    let result = loop {
        match consumer.poll(wait) {
            // The message is copied at once, because it keeps everything that was fetched with it in memory.
            Some(Ok(message)) if member.buffer(received(member, &message)) => wait = Duration::ZERO,
            Some(Ok(_)) | None => break Ok(()),
            Some(Err(error)) => break Err(error),
        }
    };
    member.look_at_gaps(consumer);
    member.flush();
    result
}

fn received(member: &Member, message: &BorrowedMessage<'_>) -> Received {
    Received {
        partition: member.partition(message.topic(), message.partition()),
        offset: message.offset() as u64,
        key: message.key().map(<[u8]>::to_vec),
        body: message.payload().map(<[u8]>::to_vec),
        headers: message.headers().map(headers).unwrap_or_default(),
        timestamp: message.timestamp().to_millis().and_then(Timestamp::from_timestamp_millis),
    }
}

/// Copies the headers. The client library panics at a name that is not UTF-8 and shows nothing of that header, so it gets
/// the name [`UNREADABLE_HEADER`], with which the record is parked.
fn headers(headers: &BorrowedHeaders) -> Vec<(String, Vec<u8>)> {
    let header = |index| {
        let read = AssertUnwindSafe(|| {
            let header = headers.get(index);
            (header.key.to_owned(), header.value.unwrap_or_default().to_vec())
        });
        catch_unwind(read).unwrap_or_else(|_| (UNREADABLE_HEADER.to_owned(), Vec::new()))
    };
    (0..headers.count()).map(header).collect()
}
