//! Tests of the decisions of counsels, exchanges and messages: given, when, then.
use super::{
    ANSWERED_WITHIN, Counsel, CounselError, CounselEvent, CounselId, CounselMessage, Exchange, ExchangeEvent,
    MessageEvent, MessageId, MessageSent, MessageText, Progress, Reaction, Speaker,
};
use cqrs_core::{Evolve, Timestamp, replay, testing::given};
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
    Counsel::open(id(2), id(3), id(4), id(5), at(0))
}
fn exchange_started(exchange: u128, seconds: i64) -> CounselEvent {
    CounselEvent::ExchangeStarted { exchange: id(exchange), until: at(seconds) + ANSWERED_WITHIN }
}
fn sent(number: u32, by: Speaker) -> MessageSent {
    let text = text().as_str().to_owned();
    MessageSent { id: id(number.into()), counsel: id(1), user: id(2), number, by, text, technique: id(5), at: at(0) }
}
fn exchange_opened() -> ExchangeEvent {
    Exchange::start(&sent(2, Speaker::Person), text())
}
fn failed(attempt: u32) -> ExchangeEvent {
    ExchangeEvent::Failed { counsel: id(1), user: id(2), attempt, reason: "down".into() }
}
fn replied() -> ExchangeEvent {
    ExchangeEvent::Replied { counsel: id(1), user: id(2), reply: id(3) }
}

#[test]
fn messages_of_a_counsel_are_numbered_from_one() {
    let mut counsel: Counsel = replay(&id(1), &[opened()]).unwrap();
    for number in 1..=3 {
        let sent = counsel.next(id(number), Speaker::Person, "네", at(1));
        assert_eq!(u128::from(sent.number), number);
        let appended = counsel.append(&sent);
        counsel.apply(&appended);
    }
    assert_eq!(counsel.opening(), Some(id(1)));
    assert_eq!(counsel.last(), Some(("네", at(1))));
}

#[test]
fn a_second_exchange_is_refused_while_one_is_open() {
    let begin = |exchange: u128, seconds| move |counsel: &Counsel| counsel.start_exchange(id(exchange), at(seconds));
    given::<Counsel>(id(1), [opened()]).when(begin(9, 0)).then([exchange_started(9, 0)]);
    given::<Counsel>(id(1), [opened(), exchange_started(9, 0)]).when(begin(8, 29)).then_rejected(CounselError::Busy);
    given::<Counsel>(id(1), [opened(), exchange_started(9, 0)])
        .when(begin(9, 29))
        .then_rejected(CounselError::BeingAnswered);
    given::<Counsel>(id(1), [opened(), exchange_started(9, 0)]).when(begin(9, 30)).then([exchange_started(9, 30)]);
    let ended = CounselEvent::ExchangeEnded { exchange: id(9) };
    given::<Counsel>(id(1), [opened(), exchange_started(9, 0), ended]).when(begin(8, 1)).then([exchange_started(8, 1)]);
}

#[test]
fn only_another_exchange_past_its_time_limit_is_overdue() {
    let counsel: Counsel = replay(&id(1), &[opened(), exchange_started(9, 0)]).unwrap();
    assert_eq!(counsel.overdue(id(8), at(29)), None);
    assert_eq!(counsel.overdue(id(8), at(30)), Some(id(9)));
    assert_eq!(counsel.overdue(id(9), at(30)), None);
}

#[test]
fn ending_an_exchange_that_is_not_open_changes_nothing() {
    let end = |exchange: u128| move |counsel: &Counsel| Ok::<_, CounselError>(counsel.end_exchange(id(exchange)));
    given::<Counsel>(id(1), [opened(), exchange_started(9, 0)]).when(end(8)).then([]);
    given::<Counsel>(id(1), [opened(), exchange_started(9, 0)])
        .when(end(9))
        .then([CounselEvent::ExchangeEnded { exchange: id(9) }]);
    given::<Counsel>(id(1), [opened()]).when(end(9)).then([]);
}

#[test]
fn an_exchange_id_is_refused_for_another_message_or_counsel() {
    let exchange: Exchange = replay(&id(9), &[exchange_opened()]).unwrap();
    assert_eq!(exchange.is_for(id(1), &text()), Ok(()));
    assert_eq!(exchange.is_for(id::<CounselId>(7), &text()), Err(CounselError::ExchangeReused));
    assert_eq!(exchange.is_for(id(1), &MessageText::parse("네").unwrap()), Err(CounselError::ExchangeReused));
}

#[test]
fn a_retry_gets_a_new_attempt_number_when_the_token_is_no_longer_held() {
    let again = |seconds| move |exchange: &Exchange| Ok::<_, CounselError>(exchange.retry(at(seconds)));
    let retried = |attempt, seconds| [ExchangeEvent::Retried { attempt, at: at(seconds) }];
    given::<Exchange>(id(9), [exchange_opened(), failed(1)]).when(again(1)).then(retried(2, 1));
    // The attempt was not failed, so its process has crashed. Within a minute the token is still held.
    given::<Exchange>(id(9), [exchange_opened()]).when(again(59)).then(retried(1, 59));
    given::<Exchange>(id(9), [exchange_opened()]).when(again(60)).then(retried(2, 60));
    given::<Exchange>(id(9), [exchange_opened(), replied()]).when(again(60)).then([]);
}

#[test]
fn a_reply_is_refused_when_the_exchange_has_ended() {
    let reply = |exchange: &Exchange| exchange.reply(id::<MessageId>(3));
    given::<Exchange>(id(9), [exchange_opened()]).when(reply).then([replied()]);
    given::<Exchange>(id(9), [exchange_opened(), replied()]).when(reply).then_rejected(CounselError::ExchangeEnded);
    given::<Exchange>(id(9), [exchange_opened(), failed(1)]).when(reply).then_rejected(CounselError::ExchangeEnded);
    given::<Exchange>(id(9), [exchange_opened()])
        .when(reply)
        .then_state(|exchange| assert_eq!(exchange.progress(), Progress::Replied(id(3))));
}

#[test]
fn a_late_failure_of_one_attempt_does_not_affect_the_next() {
    let fail = |attempt| move |exchange: &Exchange| Ok::<_, CounselError>(exchange.fail(attempt, "down"));
    let again = ExchangeEvent::Retried { attempt: 2, at: at(1) };
    given::<Exchange>(id(9), [exchange_opened()]).when(fail(1)).then([failed(1)]);
    given::<Exchange>(id(9), [exchange_opened(), failed(1)]).when(fail(1)).then([]);
    given::<Exchange>(id(9), [exchange_opened(), failed(1), again.clone()]).when(fail(1)).then([]);
    given::<Exchange>(id(9), [exchange_opened(), failed(1), again]).when(fail(2)).then([failed(2)]);
    given::<Exchange>(id(9), [exchange_opened(), replied()]).when(fail(1)).then([]);
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
