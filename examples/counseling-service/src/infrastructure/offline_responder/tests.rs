//! Tests of the offline responder.
use super::{introduction, reply};
use crate::{
    application::ports::{Prompt, Turn},
    domain::counsel::Speaker,
    infrastructure::offline_responder::{Manner, topic::Topic},
};

fn prompt(tone: &str, message: &str, turns: usize) -> Prompt {
    let turn_by = |by, text: &str| Turn { by, text: text.into() };
    let turn = [turn_by(Speaker::Person, "네"), turn_by(Speaker::Counselor, "더 들려주세요.")];
    Prompt {
        counselor: "하늘".into(),
        persona: "다정한 상담사".into(),
        client: None,
        tone: tone.into(),
        context: String::new(),
        instruction: String::new(),
        history: std::iter::repeat_n(turn, turns).flatten().collect(),
        message: message.into(),
    }
}

#[test]
fn the_topic_of_a_message_is_recognised() {
    for (message, topic) in [
        ("요즘 너무 불안해요", Topic::Anxiety),
        ("밤에 잠이 안 와요", Topic::Sleep),
        ("회사 상사가 힘들게 해요", Topic::Work),
        ("친구랑 싸웠어요", Topic::Relationships),
        ("너무 외로워요", Topic::Loneliness),
        ("진짜 화가 나요", Topic::Anger),
        ("들어주셔서 감사해요", Topic::Gratitude),
        ("안녕하세요", Topic::Greeting),
        ("그냥 우울해요", Topic::Sadness),
        ("오늘은 비가 왔어요", Topic::Other),
        ("죽고 싶어요", Topic::Crisis),
        ("회사도 싫고 살기 싫어", Topic::Crisis),
    ] {
        assert_eq!(Topic::of(message), topic, "{message}");
    }
}

#[test]
fn a_crisis_gets_the_hotline_in_every_tone() {
    for tone in ["따뜻한 존댓말", "차분한 존댓말", "편안한 반말"] {
        assert!(reply(&prompt(tone, "이제 사라지고 싶어요", 0)).contains("109"), "{tone}");
    }
}

#[test]
fn each_reply_has_one_question_and_is_deterministic() {
    for message in ["요즘 너무 불안해요", "안녕하세요", "고마워요", "오늘은 비가 왔어요", "자살 생각이 나요"]
    {
        for tone in ["따뜻한 존댓말", "차분한 존댓말", "편안한 반말"] {
            for turn in 0..6 {
                let words = reply(&prompt(tone, message, turn));
                assert_eq!(words.matches('?').count(), 1, "{words}");
                assert_eq!(words, reply(&prompt(tone, message, turn)));
                assert!(!words.contains('{'), "{words}");
            }
        }
    }
}

#[test]
fn replies_differ_by_turn_and_tone() {
    let warm = reply(&prompt("따뜻한 존댓말", "요즘 너무 불안해요", 0));
    assert_ne!(warm, reply(&prompt("따뜻한 존댓말", "요즘 너무 불안해요", 1)));
    assert_ne!(warm, reply(&prompt("차분한 존댓말", "요즘 너무 불안해요", 0)));
    assert_ne!(warm, reply(&prompt("편안한 반말", "요즘 너무 불안해요", 0)));
}

#[test]
fn the_introduction_uses_the_particle_that_fits_the_name() {
    assert_eq!(introduction("하늘", Manner::Warm), "저는 하늘이에요");
    assert_eq!(introduction("보라", Manner::Calm), "저는 보라예요");
    assert_eq!(introduction("콩", Manner::Casual), "나는 콩이야");
    assert_eq!(introduction("두부", Manner::Casual), "나는 두부야");
}
