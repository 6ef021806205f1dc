//! The notice for a person in a crisis, and the line for a language model.
use super::Crisis;
use crate::domain::manner::Manner;
use serde::{Deserialize, Serialize};

/// The language in which a person reads a notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Language {
    #[default]
    Korean,
    English,
}

/// A text that names help, with the telephone numbers in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Notice {
    pub crisis: Crisis,
    pub text: &'static str,
    /// The telephone numbers, the most important one first.
    pub numbers: &'static [&'static str],
}

impl Crisis {
    /// Returns the notice in this language. In Korean it has the counsellor's manner of speech.
    pub fn notice(self, language: Language, manner: Manner) -> Notice {
        let (polite, casual) = self.texts();
        let text = match (language, manner) {
            (Language::English, _) => self.english(),
            (Language::Korean, Manner::Casual) => casual,
            (Language::Korean, Manner::Polite) => polite,
        };
        Notice { crisis: self, text, numbers: self.numbers() }
    }

    fn numbers(self) -> &'static [&'static str] {
        match self {
            Crisis::SelfHarm => &["109", "119", "112"],
            Crisis::PossibleSelfHarm => &["109"],
            Crisis::HarmToOthers => &["112"],
            Crisis::Abuse => &["1366", "112"],
        }
    }

    /// Returns the Korean text in polite and in casual speech. Each ends with one question, so that the counsel goes on.
    fn texts(self) -> (&'static str, &'static str) {
        match self {
            Crisis::SelfHarm => (
                "그런 생각이 들 만큼 많이 힘드셨군요. 말해 주셔서 정말 고마워요. 지금 혼자 계시지 않았으면 해요. \
                 자살예방 상담전화 109에서 24시간 이야기를 들어 드려요. 지금 위험하다면 119나 112에 바로 연락해 주세요. \
                 지금 안전한 곳에 계신가요?",
                "그런 생각이 들 만큼 많이 힘들었구나. 말해 줘서 정말 고마워. 지금 혼자 있지 않았으면 좋겠어. \
                 자살예방 상담전화 109에서 24시간 이야기를 들어 줘. 지금 위험하면 119나 112에 바로 연락해 줘. \
                 지금 안전한 곳에 있어?",
            ),
            Crisis::PossibleSelfHarm => (
                "많이 힘드신 것 같아서 마음이 쓰여요. 그런 마음이 들 때는 혼자 견디지 마시고 \
                 자살예방 상담전화 109에 24시간 언제든 전화해 주세요. 조심스럽게 여쭤볼게요. \
                 혹시 죽고 싶다는 생각이나 스스로를 다치게 하고 싶은 마음이 드시나요?",
                "많이 힘든 것 같아서 마음이 쓰여. 그런 마음이 들 때는 혼자 견디지 말고 \
                 자살예방 상담전화 109에 24시간 언제든 전화해 줘. 조심스럽게 물어볼게. \
                 혹시 죽고 싶다는 생각이나 스스로를 다치게 하고 싶은 마음이 들어?",
            ),
            Crisis::HarmToOthers => (
                "그만큼 화나고 견디기 힘든 일이 있으셨군요. 행동하기 전에 말해 주셔서 고마워요. \
                 지금은 그 사람과 떨어진 곳에서 숨을 고르고, 위험한 물건이 가까이 있다면 멀리 두어 주세요. \
                 누군가 다칠 것 같다면 망설이지 말고 112에 연락해 주세요. 지금 그 사람과 떨어진 곳에 계신가요?",
                "그만큼 화나고 견디기 힘든 일이 있었구나. 행동하기 전에 말해 줘서 고마워. \
                 지금은 그 사람이랑 떨어진 곳에서 숨을 고르고, 위험한 물건이 가까이 있으면 멀리 둬 줘. \
                 누군가 다칠 것 같으면 망설이지 말고 112에 연락해 줘. 지금 그 사람이랑 떨어진 곳에 있어?",
            ),
            Crisis::Abuse => (
                "많이 무섭고 아프셨겠어요. 말해 주셔서 고마워요. 그런 일을 겪는 것은 결코 당신의 잘못이 아니에요. \
                 여성긴급전화 1366에서 24시간 상담하고 머물 곳도 찾아 드려요. 112에는 누구나 신고할 수 있고, \
                 전화하기 어려우면 문자로 보내셔도 돼요. 지금 안전한 곳에 계신가요?",
                "많이 무섭고 아팠겠다. 말해 줘서 고마워. 그런 일을 겪는 건 절대 네 잘못이 아니야. \
                 여성긴급전화 1366에서 24시간 상담하고 머물 곳도 찾아 줘. 112에는 누구나 신고할 수 있고, \
                 전화하기 어려우면 문자로 보내도 돼. 지금 안전한 곳에 있어?",
            ),
        }
    }

    /// Returns the English text. It ends with one question as well.
    fn english(self) -> &'static str {
        match self {
            Crisis::SelfHarm => {
                "It must hurt a lot to have thoughts like that. Thank you for telling me. I hope you are not alone right now. \
                 In Korea the suicide prevention line 109 listens at any hour. If you are in danger now, please call 119 or 112 \
                 at once. Are you in a safe place?"
            }
            Crisis::PossibleSelfHarm => {
                "It sounds as if things are very hard for you, and I care about that. When it feels like this, please do not \
                 bear it alone: in Korea you can call the suicide prevention line 109 at any hour. May I ask you carefully: \
                 do you think about dying, or about hurting yourself?"
            }
            Crisis::HarmToOthers => {
                "Something must have made you this angry, and it must be hard to bear. Thank you for telling me before you act. \
                 Please breathe somewhere away from that person, and put dangerous things out of reach. If somebody may get \
                 hurt, do not hesitate to call 112. Are you away from that person now?"
            }
            Crisis::Abuse => {
                "That must have been frightening and painful. Thank you for telling me. What happened to you is not your fault. \
                 In Korea the emergency line for women 1366 gives advice at any hour and finds a place to stay. Everybody can \
                 report it to 112, by text message as well. Are you in a safe place now?"
            }
        }
    }

    /// Returns the line that a language model reads after its instruction.
    pub fn instruction(self) -> &'static str {
        match self {
            Crisis::SelfHarm => {
                "주의: 지금 메시지에 자해나 자살의 위험이 보입니다. 먼저 안전을 다정하게 확인하고 자살예방 상담전화 109와 \
                 응급전화 119, 112를 알려 줍니다. 방법이나 수단에 관한 정보는 어떤 이유로도 주지 않습니다."
            }
            Crisis::PossibleSelfHarm => {
                "주의: 지금 메시지는 자해나 자살의 위험을 뜻할 수 있습니다. 죽고 싶은 마음이 드는지 조심스럽게 직접 묻고 \
                 자살예방 상담전화 109를 알려 줍니다."
            }
            Crisis::HarmToOthers => {
                "주의: 지금 메시지에 다른 사람을 해칠 위험이 보입니다. 감정은 알아주되 폭력에 동의하지 않고, 그 사람과 떨어져 \
                 진정하도록 도우며 112를 알려 줍니다. 방법이나 수단에 관한 정보는 어떤 이유로도 주지 않습니다."
            }
            Crisis::Abuse => {
                "주의: 지금 메시지에 폭력이나 학대의 피해가 보입니다. 피해자의 잘못이 아니라고 말하고 지금 안전한지 확인하며 \
                 여성긴급전화 1366과 112를 알려 줍니다. 가해자와 화해하라고 권하지 않습니다."
            }
        }
    }
}
