//! Tests of the decisions of counsels, exchanges and messages: given, when, then.
use super::{
    ANSWERED_WITHIN, Appended, CEILING_PERIOD, Counsel, CounselError, CounselEvent, CounselId, CounselMessage,
    Exchange, ExchangeEvent, MOST_COUNSELS, MessageEvent, MessageId, MessageSent, MessageText, NewCounsel, Openings,
    OpeningsEvent, Progress, Reaction, Speaker,
};
use crate::domain::crisis::Crisis;
use cqrs_core::{Evolve, Timestamp, replay, testing::given};
use proptest::prelude::*;
use std::time::Duration;
use uuid::Uuid;

fn id<T: From<Uuid>>(number: u128) -> T {
    Uuid::from_u128(number).into()
}
fn at(seconds: i64) -> Timestamp {
    Timestamp::from_timestamp(1_700_000_000 + seconds, 0).unwrap()
}
fn text() -> MessageText {
    MessageText::parse("잠이 안 와요").unwrap()
}
fn opened() -> CounselEvent {
    let new = NewCounsel { user: id(2), counselor: id(3), prompt_version: id(4), technique: id(5), key: None };
    Counsel::open(new, id(6), at(0))
}
fn appended(message: u128, number: u32, by: Speaker) -> CounselEvent {
    CounselEvent::MessageAppended(Appended { message: id(message), number, by, at: at(1) })
}
fn sent(number: u32, by: Speaker) -> MessageSent {
    MessageSent {
        id: id(number.into()),
        counsel: id(1),
        user: id(2),
        counselor: id(3),
        number,
        by,
        text: text().as_str().to_owned(),
        prompt_version: id(4),
        technique: id(5),
        at: at(0),
    }
}
fn question() -> CounselMessage {
    replay(&id(2), &[MessageEvent::Sent(sent(2, Speaker::Person))]).unwrap()
}
fn started(attempt: u32) -> ExchangeEvent {
    Exchange::start(&sent(2, Speaker::Person), None, attempt)
}
fn failed(attempt: u32) -> ExchangeEvent {
    ExchangeEvent::Failed { counsel: id(1), user: id(2), attempt, reason: "down".into() }
}
fn replied() -> ExchangeEvent {
    ExchangeEvent::Replied { counsel: id(1), user: id(2), reply: id(3), attempt: 1, is_free: false }
}

#[test]
fn an_exchange_in_a_crisis_is_free() {
    let started = Exchange::start(&sent(2, Speaker::Person), Some(Crisis::SelfHarm), 2);
    let replied = ExchangeEvent::Replied { counsel: id(1), user: id(2), reply: id(3), attempt: 2, is_free: true };
    given::<Exchange>(id(9), [started]).when(|exchange| exchange.reply(id(3))).then([replied]);
}

#[test]
fn the_counsel_numbers_its_messages_from_its_opening_on() {
    let append = |counsel: &Counsel| Ok::<_, CounselError>(counsel.append(id(8), Speaker::Person, at(1)));
    given::<Counsel>(id(1), [opened()]).when(append).then([appended(8, 2, Speaker::Person)]);
    given::<Counsel>(id(1), [opened(), appended(7, 2, Speaker::Counselor)]).when(append).then([appended(
        8,
        3,
        Speaker::Person,
    )]);
    let counsel: Counsel = replay(&id(1), &[opened(), appended(8, 2, Speaker::Person)]).unwrap();
    let latest = MessageSent { id: id(8), at: at(1), ..sent(2, Speaker::Person) };
    assert_eq!(counsel.latest_message(text().as_str()), latest);
    assert_eq!((counsel.opening(), counsel.latest()), (id(6), id(8)));
}

proptest! {
    /// Whatever happens between two messages, their numbers follow one another.
    #[test]
    fn the_numbers_of_a_counsel_have_no_gap(steps in proptest::collection::vec(any::<bool>(), 0..40)) {
        let mut counsel: Counsel = replay(&id(1), &[opened()]).unwrap();
        let mut expected = 1;
        for (message, is_message) in (10..).zip(steps) {
            let event = match is_message {
                true => counsel.append(id(message), Speaker::Person, at(1)),
                false => counsel.start_exchange(id(message)),
            };
            counsel.apply(&event);
            expected += u32::from(is_message);
            prop_assert_eq!(counsel.latest_message("").number, expected);
        }
    }
}

#[test]
fn the_ceiling_counts_counsels_of_the_last_thirty_days() {
    let period = i64::try_from(CEILING_PERIOD.as_secs()).unwrap();
    let opened = |times: usize| (0..times).map(|time| OpeningsEvent::Counted { at: at(i64::try_from(time).unwrap()) });
    let count = |seconds| move |openings: &Openings| openings.count(at(seconds));
    let counted = |seconds| [OpeningsEvent::Counted { at: at(seconds) }];
    given::<Openings>(id(2), opened(MOST_COUNSELS - 1)).when(count(period - 1)).then(counted(period - 1));
    let refused = given::<Openings>(id(2), opened(MOST_COUNSELS)).when(count(period - 1));
    refused.then_rejected(CounselError::TooManyCounsels);
    given::<Openings>(id(2), opened(MOST_COUNSELS)).when(count(period)).then(counted(period));
    // The state stays small.
    given::<Openings>(id(2), opened(3 * MOST_COUNSELS)).when(count(10 * period)).then(counted(10 * period));
}

#[test]
fn another_exchange_waits_until_the_one_before_has_ended_or_is_overdue() {
    let make_room = |seconds| move |exchange: &Exchange| exchange.make_room(at(seconds));
    let limit = i64::try_from(ANSWERED_WITHIN.as_secs()).unwrap();
    given::<Exchange>(id(9), [started(1)])
        .when(make_room(limit - 1))
        .then_rejected(CounselError::Busy { wait: Duration::from_secs(1) });
    let reason = "no reply within the time limit".into();
    let overdue = ExchangeEvent::Failed { counsel: id(1), user: id(2), attempt: 1, reason };
    given::<Exchange>(id(9), [started(1)]).when(make_room(limit)).then([overdue]);
    given::<Exchange>(id(9), [started(1), failed(1)]).when(make_room(1)).then([]);
    given::<Exchange>(id(9), [started(1), replied()]).when(make_room(1)).then([]);
}

#[test]
fn an_exchange_id_is_refused_for_another_message_or_counsel() {
    let exchange: Exchange = replay(&id(9), &[started(1)]).unwrap();
    assert_eq!(exchange.is_for(id(1), &question(), &text()), Ok(()));
    assert_eq!(exchange.is_for(id::<CounselId>(7), &question(), &text()), Err(CounselError::ExchangeReused));
    let other = MessageText::parse("네").unwrap();
    assert_eq!(exchange.is_for(id(1), &question(), &other), Err(CounselError::ExchangeReused));
}

#[test]
fn a_retry_takes_its_number_from_the_wallet_and_waits_for_the_attempt_before() {
    let again = |attempt, seconds| move |exchange: &Exchange| exchange.retry(attempt, at(seconds));
    let retried = |attempt, seconds| ExchangeEvent::Retried { attempt, at: at(seconds) };
    given::<Exchange>(id(9), [started(1), failed(1)]).when(again(2, 1)).then([retried(2, 1)]);
    given::<Exchange>(id(9), [started(1)])
        .when(again(1, 29))
        .then_rejected(CounselError::BeingAnswered { wait: Duration::from_secs(1) });
    // The process of the first attempt has crashed, and its token is still held.
    given::<Exchange>(id(9), [started(1)]).when(again(1, 30)).then([retried(1, 30)]);
    given::<Exchange>(id(9), [started(1), retried(1, 59)]).when(again(2, 100)).then([retried(2, 100)]);
    given::<Exchange>(id(9), [started(1), replied()]).when(again(1, 60)).then_rejected(CounselError::ExchangeEnded);
}

#[test]
fn a_reply_is_refused_when_the_exchange_has_ended() {
    let reply = |exchange: &Exchange| exchange.reply(id::<MessageId>(3));
    given::<Exchange>(id(9), [started(1)]).when(reply).then([replied()]);
    given::<Exchange>(id(9), [started(1), replied()]).when(reply).then_rejected(CounselError::ExchangeEnded);
    given::<Exchange>(id(9), [started(1), failed(1)]).when(reply).then_rejected(CounselError::ExchangeEnded);
    given::<Exchange>(id(9), [started(1)])
        .when(reply)
        .then_state(|exchange| assert_eq!(exchange.progress(), Progress::Replied(id(3))));
}

#[test]
fn a_late_failure_of_one_attempt_does_not_affect_the_next() {
    let fail = |attempt| move |exchange: &Exchange| Ok::<_, CounselError>(exchange.fail(attempt, "down"));
    let again = ExchangeEvent::Retried { attempt: 2, at: at(1) };
    given::<Exchange>(id(9), [started(1)]).when(fail(1)).then([failed(1)]);
    given::<Exchange>(id(9), [started(1), failed(1)]).when(fail(1)).then([]);
    given::<Exchange>(id(9), [started(1), failed(1), again.clone()]).when(fail(1)).then([]);
    given::<Exchange>(id(9), [started(1), failed(1), again]).when(fail(2)).then([failed(2)]);
    given::<Exchange>(id(9), [started(1), replied()]).when(fail(1)).then([]);
}

#[test]
fn only_a_message_of_the_counsellor_accepts_one_reaction() {
    let like = |message: &CounselMessage| message.react(Reaction::Like, at(3));
    let liked = MessageEvent::Reacted { reaction: Reaction::Like, at: at(3) };
    let counselors = MessageEvent::Sent(sent(1, Speaker::Counselor));
    given::<CounselMessage>(id(1), [counselors.clone()]).when(like).then([liked.clone()]);
    given::<CounselMessage>(id(1), [counselors, liked]).when(like).then_rejected(CounselError::AlreadyReacted);
    let own = MessageEvent::Sent(sent(1, Speaker::Person));
    given::<CounselMessage>(id(1), [own]).when(like).then_rejected(CounselError::NotTheCounselors);
}
