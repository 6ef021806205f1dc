//! The twin's counsellor. It replies from a table, as the services' offline responder does, so no model takes time.

const OPENINGS: [&str; 3] =
    ["그랬군요. ", "마음을 나눠 주셔서 고마워요. ", "여기까지 이야기해 주신 것만으로도 애쓰셨어요. "];
const FEELINGS: [&str; 2] =
    ["할 일이 쌓여 있으면 몸도 마음도 쉬기 어렵죠.", "계속 애써 오느라 많이 지치셨을 것 같아요."];
const QUESTIONS: [&str; 2] =
    ["요즘 가장 무겁게 느껴지는 일은 무엇인가요?", "잠깐이라도 숨을 돌릴 수 있는 때는 언제인가요?"];

/// The input of a responder.
pub(super) struct Prompt {
    pub(super) persona: String,
    pub(super) tone: String,
    pub(super) context: String,
    pub(super) instruction: String,
    /// The earlier messages, oldest first: `true` for the person's own, and the text.
    pub(super) history: Vec<(bool, String)>,
    pub(super) message: String,
}

/// Composes the reply to a prompt.
pub(super) fn reply(prompt: &Prompt) -> String {
    let turn = prompt.history.iter().filter(|(by_user, _)| *by_user).count();
    let topic = usize::from(prompt.message.contains('잠'));
    let known =
        [&prompt.persona, &prompt.tone, &prompt.context, &prompt.instruction].iter().any(|text| !text.is_empty());
    let opening = if known { OPENINGS[turn % OPENINGS.len()] } else { "" };
    format!("{opening}{} {}", FEELINGS[(turn + topic) % FEELINGS.len()], QUESTIONS[turn % QUESTIONS.len()])
}
