//! The texts of refusals that name help. Somebody who is refused may be in danger too.

/// A text in both languages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Text {
    pub korean: &'static str,
    pub english: &'static str,
}

/// The refusal of a message when no token is left.
pub const NO_TOKENS: Text = Text {
    korean: "지금 나눌 수 있는 대화를 모두 쓰셨어요. 혹시 많이 힘들거나 죽고 싶은 마음이 든다면 혼자 견디지 마시고 \
             자살예방 상담전화 109(24시간)로 전화해 주세요. 위급할 때는 119나 112로 연락해 주세요.",
    english: "You have used all the messages you have for now. If you are in distress or think about ending your life, \
              please do not stay alone with it: call the suicide prevention line 109 in Korea, at any hour. \
              In an emergency call 119 or 112.",
};

/// The refusal of a message while counsellors cannot answer.
pub const OUTAGE: Text = Text {
    korean: "지금은 상담사가 답하기 어려워요. 잠시 뒤에 다시 보내 주세요. 혹시 많이 힘들거나 죽고 싶은 마음이 든다면 \
             기다리지 마시고 자살예방 상담전화 109(24시간)로 전화해 주세요. 위급할 때는 119나 112로 연락해 주세요.",
    english: "The counsellor cannot answer right now. Please send your message again in a moment. If you are in distress \
              or think about ending your life, please do not wait: call the suicide prevention line 109 in Korea, \
              at any hour. In an emergency call 119 or 112.",
};
