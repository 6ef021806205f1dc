//! A responder that needs no network: it recognises the topic of a message, responds kindly and asks one open question.
mod phrases;
#[cfg(test)]
mod tests;
mod topic;

use crate::application::ports::{NoReply, Prompt, Responder};
use crate::domain::counsel::Speaker;
use async_trait::async_trait;
use phrases::{CRISIS, CRISIS_CASUAL, Voice};
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

/// The manner of speech that a tone stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manner {
    Warm,
    Calm,
    Casual,
}
impl Manner {
    /// Recognises the manner by keywords in the tone's prompt.
    fn of(tone: &str) -> Self {
        match tone {
            tone if tone.contains("반말") => Manner::Casual,
            tone if tone.contains("차분") => Manner::Calm,
            _ => Manner::Warm,
        }
    }
    /// Returns the opening phrase, which distinguishes the two polite tones.
    fn opening(self, turn: usize) -> &'static str {
        let counsel_opener: [&'static str; 3] = match self {
            Manner::Warm => {
                ["그랬군요. ", "마음을 나눠 주셔서 고마워요. ", "여기까지 이야기해 주신 것만으로도 애쓰셨어요. "]
            }
            Manner::Calm => ["네, 듣고 있어요. ", "천천히 함께 살펴볼게요. ", "말씀하신 것을 하나씩 짚어 볼게요. "],
            Manner::Casual => ["응, 듣고 있어. ", "얘기해 줘서 고마워. ", "그랬구나. "],
        };
        pick(&counsel_opener, turn)
    }
}

fn reply(prompt: &Prompt) -> String {
    let manner = Manner::of(&prompt.tone);
    let topic = Topic::of(&prompt.message);
    if topic == Topic::Crisis {
        let words = if manner == Manner::Casual { CRISIS_CASUAL } else { CRISIS };
        return words.to_owned();
    }
    let turn = prompt.history.iter().filter(|earlier| earlier.by == Speaker::Person).count();
    let Voice { feels, asks } = phrases::voice(topic, manner == Manner::Casual);
    // Replies to a greeting or to thanks have their own opening.
    let opening = if matches!(topic, Topic::Greeting | Topic::Gratitude) { "" } else { manner.opening(turn) };
    let words = format!("{opening}{} {}", pick(feels, turn), pick(asks, turn));
    words.replace("{나}", &introduction(&prompt.counselor, manner)).replace("{말}", &prompt.message)
}

fn pick<'a>(from: &[&'a str], turn: usize) -> &'a str {
    from[turn % from.len()]
}

/// "저는 하늘이에요", "나는 콩이야": the ending depends on whether the name ends in a consonant.
fn introduction(name: &str, manner: Manner) -> String {
    let consonant = name.chars().last().is_some_and(|character| {
        let syllable = u32::from(character).wrapping_sub(0xAC00);
        syllable < 11172 && !syllable.is_multiple_of(28)
    });
    match (manner, consonant) {
        (Manner::Casual, true) => format!("나는 {name}이야"),
        (Manner::Casual, false) => format!("나는 {name}야"),
        (_, true) => format!("저는 {name}이에요"),
        (_, false) => format!("저는 {name}예요"),
    }
}
