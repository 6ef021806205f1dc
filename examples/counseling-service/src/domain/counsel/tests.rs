//! What counsels, exchanges and messages decide: given, when, then.
use super::{
    ANSWERED_WITHIN, Counsel, CounselError, CounselEvent, CounselId, CounselMessage, Exchange, ExchangeEvent,
    MessageEvent, MessageId, Progress, Reaction, Said, Speaker, Words,
};
use cqrs_core::{Evolve, Timestamp, replay, testing::given};
use uuid::Uuid;

fn id<T: From<Uuid>>(number: u128) -> T {
    Uuid::from_u128(number).into()
}
fn at(seconds: i64) -> Timestamp {
    Timestamp::from_timestamp(1_700_000_000 + seconds, 0).unwrap()
}
fn words() -> Words {
    Words::parse("잠이 안 와요").unwrap()
}
fn opened() -> CounselEvent {
    Counsel::open(id(1), id(2), id(3), id(4), id(5), at(0))
}
fn begun(exchange: u128, seconds: i64) -> CounselEvent {
    CounselEvent::ExchangeBegun { exchange: id(exchange), until: at(seconds) + ANSWERED_WITHIN }
}
fn said(number: u32, by: Speaker) -> Said {
    let text = words().as_str().to_owned();
    Said { id: id(number.into()), counsel: id(1), user: id(2), number, by, text, technique: id(5), at: at(0) }
}
fn asked() -> ExchangeEvent {
    Exchange::ask(id(9), &said(2, Speaker::Person), words())
}
fn failed(attempt: u32) -> ExchangeEvent {
    ExchangeEvent::Failed { id: id(9), counsel: id(1), user: id(2), attempt, reason: "down".into() }
}
fn replied() -> ExchangeEvent {
    ExchangeEvent::Replied { id: id(9), counsel: id(1), user: id(2), reply: id(3) }
}

#[test]
fn messages_are_numbered_in_their_counsel() {
    let mut counsel: Counsel = replay(&[opened()]).unwrap();
    for number in 1..=3 {
        let said = counsel.next(id(number), Speaker::Person, "네", at(1));
        assert_eq!(u128::from(said.number), number);
        let heard = counsel.hear(&said);
        counsel.apply(&heard);
    }
    assert_eq!(counsel.opening(), Some(id(1)));
    assert_eq!(counsel.last(), Some(("네", at(1))));
}

#[test]
fn one_exchange_is_open_at_a_time() {
    let begin = |exchange: u128, seconds| move |it: &Counsel| it.begin(id(exchange), at(seconds));
    given::<Counsel>([opened()]).when(begin(9, 0)).then([begun(9, 0)]);
    given::<Counsel>([opened(), begun(9, 0)]).when(begin(8, 29)).then_rejected(CounselError::Busy);
    given::<Counsel>([opened(), begun(9, 0)]).when(begin(9, 29)).then_rejected(CounselError::BeingAnswered);
    given::<Counsel>([opened(), begun(9, 0)]).when(begin(9, 30)).then([begun(9, 30)]);
    let ended = CounselEvent::ExchangeEnded { exchange: id(9) };
    given::<Counsel>([opened(), begun(9, 0), ended]).when(begin(8, 1)).then([begun(8, 1)]);
}

#[test]
fn only_another_exchange_whose_time_is_over_is_given_up() {
    let counsel: Counsel = replay(&[opened(), begun(9, 0)]).unwrap();
    assert_eq!(counsel.overdue(id(8), at(29)), None);
    assert_eq!(counsel.overdue(id(8), at(30)), Some(id(9)));
    assert_eq!(counsel.overdue(id(9), at(30)), None);
}

#[test]
fn only_the_open_exchange_can_end() {
    let end = |exchange: u128| move |it: &Counsel| Ok::<_, CounselError>(it.end(id(exchange)));
    given::<Counsel>([opened(), begun(9, 0)]).when(end(8)).then([]);
    given::<Counsel>([opened(), begun(9, 0)]).when(end(9)).then([CounselEvent::ExchangeEnded { exchange: id(9) }]);
    given::<Counsel>([opened()]).when(end(9)).then([]);
}

#[test]
fn an_exchange_is_one_message_of_one_counsel() {
    let exchange: Exchange = replay(&[asked()]).unwrap();
    assert_eq!(exchange.is_for(id(1), &words()), Ok(()));
    assert_eq!(exchange.is_for(id::<CounselId>(7), &words()), Err(CounselError::ExchangeReused));
    assert_eq!(exchange.is_for(id(1), &Words::parse("네").unwrap()), Err(CounselError::ExchangeReused));
}

#[test]
fn attempts_count_up_with_the_token_that_is_held_for_them() {
    let again = |seconds| move |it: &Exchange| Ok::<_, CounselError>(it.ask_again(at(seconds)));
    let asked_again = |attempt, seconds| [ExchangeEvent::AskedAgain { attempt, at: at(seconds) }];
    given::<Exchange>([asked(), failed(1)]).when(again(1)).then(asked_again(2, 1));
    // Nobody failed it, so whoever answered has crashed: within a minute the token is still held.
    given::<Exchange>([asked()]).when(again(59)).then(asked_again(1, 59));
    given::<Exchange>([asked()]).when(again(60)).then(asked_again(2, 60));
    given::<Exchange>([asked(), replied()]).when(again(60)).then([]);
}

#[test]
fn a_reply_is_kept_once_and_not_after_it_was_given_up() {
    let reply = |it: &Exchange| it.reply(id::<MessageId>(3));
    given::<Exchange>([asked()]).when(reply).then([replied()]);
    given::<Exchange>([asked(), replied()]).when(reply).then_rejected(CounselError::ExchangeEnded);
    given::<Exchange>([asked(), failed(1)]).when(reply).then_rejected(CounselError::ExchangeEnded);
    given::<Exchange>([asked()]).when(reply).then_state(|it| assert_eq!(it.progress(), Progress::Replied(id(3))));
}

#[test]
fn a_late_failure_of_one_attempt_does_not_touch_the_next() {
    let fail = |attempt| move |it: &Exchange| Ok::<_, CounselError>(it.fail(attempt, "down"));
    let again = ExchangeEvent::AskedAgain { attempt: 2, at: at(1) };
    given::<Exchange>([asked()]).when(fail(1)).then([failed(1)]);
    given::<Exchange>([asked(), failed(1)]).when(fail(1)).then([]);
    given::<Exchange>([asked(), failed(1), again.clone()]).when(fail(1)).then([]);
    given::<Exchange>([asked(), failed(1), again]).when(fail(2)).then([failed(2)]);
    given::<Exchange>([asked(), replied()]).when(fail(1)).then([]);
}

#[test]
fn only_what_the_counsellor_says_can_be_liked_and_only_once() {
    let like = |it: &CounselMessage| it.react(Reaction::Like, at(3));
    let liked = MessageEvent::Reacted { id: id(1), reaction: Reaction::Like, at: at(3) };
    let counselors = MessageEvent::Said(said(1, Speaker::Counselor));
    given::<CounselMessage>([counselors.clone()]).when(like).then([liked.clone()]);
    given::<CounselMessage>([counselors, liked]).when(like).then_rejected(CounselError::AlreadyReacted);
    let own = MessageEvent::Said(said(1, Speaker::Person));
    given::<CounselMessage>([own]).when(like).then_rejected(CounselError::NotTheCounselors);
}
