//! Tests of the offline responder.
use super::reply;
use crate::{
    application::ports::{Prompt, Turn},
    domain::counsel::Speaker,
    infrastructure::offline_responder::topic::Topic,
};

const TONES: [&str; 3] = ["따뜻한 존댓말", "차분한 존댓말", "편안한 반말"];

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
        ("겁이 나요", Topic::Anxiety),
        ("겁나서 말을 못 했어요", Topic::Anxiety),
        ("밤에 잠이 안 와요", Topic::Sleep),
        ("요즘 통 못 자요", Topic::Sleep),
        ("회사 상사가 힘들게 해요", Topic::Work),
        ("친구랑 싸웠어요", Topic::Relationships),
        ("우리엄마랑 말을 안 해요", Topic::Relationships),
        ("너무 외로워요", Topic::Loneliness),
        ("진짜 화가 나요", Topic::Anger),
        ("자꾸 화를 내게 돼요", Topic::Anger),
        ("들어주셔서 감사해요", Topic::Gratitude),
        ("안녕하세요", Topic::Greeting),
        ("안녕", Topic::Greeting),
        ("하이!", Topic::Greeting),
        ("ㅎㅇ", Topic::Greeting),
        ("hello there", Topic::Greeting),
        ("그냥 우울해요", Topic::Sadness),
        ("마음이 아파요", Topic::Sadness),
        ("오늘은 비가 왔어요", Topic::Other),
    ] {
        assert_eq!(Topic::of(message), topic, "{message}");
    }
}

#[test]
fn a_part_of_another_word_is_no_topic() {
    for message in [
        "영화가 재미있었어요",
        "변화가 많았어요",
        "대화가 잘 됐어요",
        "전화 나중에 할게요",
        "아파트를 봤어요",
        "겁나 좋아요",
        "하이킹을 다녀왔어요",
        "하이힐을 샀어요",
        "잠깐 나갔다 왔어요",
        "이 별이 참 예뻐요",
        "답을 알아내고 싶어요",
        "저는 혼자 살아요",
        "서울 고궁에 갔어요",
        "해수면이 높아진대요",
    ] {
        assert_eq!(Topic::of(message), Topic::Other, "{message}");
    }
}

#[test]
fn each_crisis_gets_its_own_help_in_every_tone() {
    for (message, number) in [
        ("이제 사라지고 싶어요", "109"),
        ("회사도 싫고 살기 싫어", "109"),
        ("죽을 것 같아요", "109"),
        ("그 사람을 죽이고 싶어요", "112"),
        ("아빠가 때려요", "1366"),
    ] {
        for tone in TONES {
            let words = reply(&prompt(tone, message, 0));
            assert!(words.contains(number), "{words}");
            assert_eq!(words.contains("109"), number == "109", "{words}");
            assert_eq!(words.contains("요."), tone != "편안한 반말", "{words}");
        }
    }
}

#[test]
fn each_reply_has_one_question_and_is_deterministic() {
    for message in ["요즘 너무 불안해요", "안녕하세요", "고마워요", "오늘은 비가 왔어요", "자살 생각이 나요"]
    {
        for tone in TONES {
            for turn in 0..6 {
                let words = reply(&prompt(tone, message, turn));
                assert_eq!(words.matches('?').count(), 1, "{words}");
                assert_eq!(words, reply(&prompt(tone, message, turn)));
                assert!(!words.contains('{') && !words.contains("  "), "{words}");
            }
        }
    }
}

#[test]
fn replies_differ_by_turn_tone_and_persona() {
    let warm = reply(&prompt("따뜻한 존댓말", "요즘 너무 불안해요", 0));
    assert_ne!(warm, reply(&prompt("따뜻한 존댓말", "요즘 너무 불안해요", 1)));
    assert_ne!(warm, reply(&prompt("차분한 존댓말", "요즘 너무 불안해요", 0)));
    assert_ne!(warm, reply(&prompt("편안한 반말", "요즘 너무 불안해요", 0)));
    let thoughtful = Prompt {
        persona: "침착한 상담사".into(), ..prompt("따뜻한 존댓말", "요즘 너무 불안해요", 0)
    };
    assert_ne!(warm, reply(&thoughtful));
}

#[test]
fn a_counsellor_greets_in_its_manner_with_its_persona() {
    let polite = reply(&prompt("따뜻한 존댓말", "안녕하세요", 0));
    assert!(polite.starts_with("안녕하세요, 저는 다정한 상담사 하늘이에요."), "{polite}");
    let casual = reply(&prompt("편안한 반말", "안녕하세요", 0));
    assert!(casual.starts_with("안녕, 나는 다정한 상담사 하늘이야.") && !casual.contains("요."), "{casual}");
}

#[test]
fn a_placeholder_in_a_message_stays_as_it_is() {
    let words = reply(&prompt("따뜻한 존댓말", "{나} {말}", 0));
    assert!(words.contains("“{나} {말}”"), "{words}");
}
