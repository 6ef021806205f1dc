//! The thread that polls, for ever and at least every tenth of a second, until the subscription is dropped.
use super::{
    Asked, Told,
    member::{Consumers, Member},
};
use crate::trouble;
use cqrs_core::transport::{Partition, Received};
use rdkafka::{
    Message,
    error::KafkaError,
    message::{BorrowedMessage, Headers},
};
use std::{sync::Arc, thread, time::Duration};
use tokio::sync::watch;

/// What debuggers and `top` call it.
const THREAD: &str = "kafka-poll";
/// Records in one signal, at most.
const AT_ONCE: usize = 500;
const POLL: Duration = Duration::from_millis(100);
/// While there is something to do for the reader, such as a seek, the poll is short.
const SOON: Duration = Duration::from_millis(10);

pub(super) fn start(consumer: Consumers, asked: Arc<Asked>, consumers: watch::Sender<usize>) {
    use rdkafka::consumer::Consumer;
    consumers.send_modify(|count| *count += 1);
    let polling = move || {
        let member = consumer.context().clone();
        run(&consumer, &member, &asked);
        drop(consumer); // leaves the group, and may wait for that: here nobody minds
        consumers.send_modify(|count| *count -= 1);
    };
    thread::Builder::new().name(THREAD.to_owned()).spawn(polling).expect("the machine has room for a thread");
}

fn run(consumer: &Consumers, member: &Member, asked: &Asked) {
    loop {
        member.store(consumer);
        member.seek(consumer);
        member.flow(consumer);
        let wait = {
            let wishes = asked.wishes();
            if wishes.leave {
                return;
            }
            if wishes.seek.is_empty() { POLL } else { SOON }
        };
        if let Err(error) = read(consumer, member, wait) {
            let over = matches!(error, KafkaError::MessageConsumptionFatal(_));
            match error.rdkafka_error_code() {
                Some(code) if !over && trouble::passes_by_itself(code) => tracing::warn!("{}: {code}", member.what()),
                _ => member.tell(Told::Trouble(trouble::of(member.what(), &error))),
            }
            if over {
                return;
            }
        }
    }
}

/// Takes what is there and tells it.
fn read(consumer: &Consumers, member: &Member, mut wait: Duration) -> Result<(), KafkaError> {
    let end = loop {
        match consumer.poll(wait) {
            // Decoded here: a message that is kept keeps all that was fetched with it.
            Some(Ok(message)) if member.took(received(&message)) < AT_ONCE => wait = Duration::ZERO,
            Some(Ok(_)) | None => break Ok(()),
            Some(Err(error)) => break Err(error),
        }
    };
    member.flush();
    end
}

fn received(message: &BorrowedMessage<'_>) -> Received {
    let headers =
        message.headers().map(|all| all.iter().map(|it| (it.key.to_owned(), it.value.unwrap_or_default().to_vec())));
    Received {
        partition: Partition { topic: message.topic().to_owned(), part: message.partition().to_string() },
        offset: message.offset() as u64,
        key: message.key().map(<[u8]>::to_vec),
        body: message.payload().map(<[u8]>::to_vec),
        headers: headers.into_iter().flatten().collect(),
    }
}
