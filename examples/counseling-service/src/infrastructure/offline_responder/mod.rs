//! A responder that needs no network: it recognises the topic of a message, responds kindly and asks one open question.
mod persona;
mod phrases;
#[cfg(test)]
mod tests;
mod topic;

use crate::{
    application::ports::{NoReply, Prompt, Responder},
    domain::{
        counsel::Speaker,
        crisis::{self, Language},
        manner::Manner,
    },
};
use async_trait::async_trait;
use persona::{Temper, introduction};
use phrases::Voice;
use topic::Topic;

/// Replies from a table. The same prompt gets the same reply, and the next turn of a counsel gets another one.
#[derive(Debug, Clone, Copy, Default)]
pub struct OfflineResponder;

#[async_trait]
impl Responder for OfflineResponder {
    async fn respond(&self, prompt: &Prompt) -> Result<String, NoReply> {
        Ok(reply(prompt))
    }
}

/// The style of speech that a tone stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Style {
    Warm,
    Calm,
    Casual,
}
impl Style {
    /// Recognises the style by keywords in the tone's prompt.
    fn of(tone: &str) -> Self {
        match Manner::of(tone) {
            Manner::Casual => Style::Casual,
            Manner::Polite if tone.contains("차분") => Style::Calm,
            Manner::Polite => Style::Warm,
        }
    }
    fn is_casual(self) -> bool {
        self == Style::Casual
    }
    /// Returns the opening phrases, which distinguish the two polite tones.
    fn openings(self) -> &'static [&'static str] {
        match self {
            Style::Warm => {
                &["그랬군요. ", "마음을 나눠 주셔서 고마워요. ", "여기까지 이야기해 주신 것만으로도 애쓰셨어요. "]
            }
            Style::Calm => &["네, 듣고 있어요. ", "천천히 함께 살펴볼게요. ", "말씀하신 것을 하나씩 짚어 볼게요. "],
            Style::Casual => &["응, 듣고 있어. ", "얘기해 줘서 고마워. ", "그랬구나. "],
        }
    }
}

fn reply(prompt: &Prompt) -> String {
    if let Some(crisis) = crisis::detect(&prompt.message) {
        return crisis.notice(Language::default(), Manner::of(&prompt.tone)).text.to_owned();
    }
    let style = Style::of(&prompt.tone);
    let topic = Topic::of(&prompt.message);
    let turn = prompt.history.iter().filter(|earlier| earlier.by == Speaker::Person).count();
    let Voice { feels, asks } = phrases::voice(topic, style.is_casual());
    // Replies to a greeting or to thanks have their own opening.
    let has_opening = matches!(topic, Topic::Greeting | Topic::Gratitude);
    let opening = if has_opening { "" } else { pick(style.openings(), turn) };
    // The counsellor's temper shows in every other reply; in each it would be a mannerism.
    let remarks = Temper::of(&prompt.persona).remarks(style);
    let remark = if has_opening || remarks.is_empty() || turn % 2 == 1 { "" } else { pick(remarks, turn / 2) };
    let words = format!("{opening}{} {remark}{}", pick(feels, turn), pick(asks, turn));
    let introduction = introduction(&prompt.counselor, &prompt.persona, style);
    // The message comes last, so that nothing in it is taken for a placeholder.
    words.replace("{나}", &introduction).replace("{말}", &prompt.message)
}

fn pick<'a>(from: &[&'a str], turn: usize) -> &'a str {
    from[turn % from.len()]
}
