//! The detector on its labelled sentences, and the texts of its notices.
use super::{
    Crisis::{self, Abuse, HarmToOthers, PossibleSelfHarm, SelfHarm},
    Language, detect,
};
use crate::domain::manner::Manner;
use std::collections::BTreeSet;

const SENTENCES: &str = include_str!("sentences.tsv");
const DOCUMENT: &str = include_str!("../../../../../docs/crisis-detector.md");

struct Sentence {
    label: Option<Crisis>,
    held_out: bool,
    text: &'static str,
}

fn sentences() -> Vec<Sentence> {
    let rows = SENTENCES.lines().skip(1).map(|line| {
        let [label, split, text] = line.split('\t').collect::<Vec<_>>().try_into().expect("three columns");
        let label = match label {
            "harmless" => None,
            "self-harm" => Some(SelfHarm),
            "ambiguous" => Some(PossibleSelfHarm),
            "harm-to-others" => Some(HarmToOthers),
            "abuse" => Some(Abuse),
            other => panic!("no label is named {other}"),
        };
        assert!(matches!(split, "tuned" | "held-out"), "{line}");
        Sentence { label, held_out: split == "held-out", text }
    });
    rows.collect()
}

/// Counts of one half. A crisis of any kind is a hit when any kind is found; the right kind is counted beside it.
#[derive(Default)]
struct Measured {
    hits: usize,
    missed: usize,
    alarms: usize,
    right_kind: usize,
}
impl Measured {
    fn of(half: &[Sentence]) -> Self {
        let mut measured = Measured::default();
        for sentence in half {
            match (sentence.label, detect(sentence.text)) {
                (Some(label), Some(found)) => {
                    measured.hits += 1;
                    measured.right_kind += usize::from(label == found);
                }
                (Some(_), None) => measured.missed += 1,
                (None, Some(_)) => measured.alarms += 1,
                (None, None) => (),
            }
        }
        measured
    }
    fn recall(&self) -> f64 {
        ratio(self.hits, self.hits + self.missed)
    }
    fn precision(&self) -> f64 {
        ratio(self.hits, self.hits + self.alarms)
    }
    fn right_kind(&self) -> f64 {
        ratio(self.right_kind, self.hits)
    }
}

fn ratio(part: usize, whole: usize) -> f64 {
    f64::from(u32::try_from(part).unwrap()) / f64::from(u32::try_from(whole).unwrap())
}

#[test]
fn the_labelled_file_is_large_balanced_and_without_repetition() {
    let all = sentences();
    assert!(all.len() >= 400, "{}", all.len());
    for held_out in [true, false] {
        let half: Vec<_> = all.iter().filter(|sentence| sentence.held_out == held_out).collect();
        let harmless = ratio(half.iter().filter(|sentence| sentence.label.is_none()).count(), half.len());
        assert!((0.45..=0.55).contains(&harmless), "{harmless}");
        for kind in [SelfHarm, PossibleSelfHarm, HarmToOthers, Abuse] {
            assert!(half.iter().filter(|sentence| sentence.label == Some(kind)).count() >= 15, "{kind:?}");
        }
    }
    assert_eq!(all.iter().map(|sentence| sentence.text).collect::<BTreeSet<_>>().len(), all.len());
}

#[test]
fn recall_and_precision_on_the_held_out_half_are_as_the_document_states() {
    let (held_out, tuned): (Vec<_>, Vec<_>) = sentences().into_iter().partition(|sentence| sentence.held_out);
    for (name, half) in [("held-out", held_out), ("tuned", tuned)] {
        let measured = Measured::of(&half);
        let (recall, precision, right_kind) = (measured.recall(), measured.precision(), measured.right_kind());
        let row = format!("| {name} | {} | {recall:.3} | {precision:.3} | {right_kind:.3} |", half.len());
        println!("{row}");
        assert!(DOCUMENT.contains(&row), "docs/crisis-detector.md must contain the row {row}");
        assert!(recall >= 0.95 && precision >= 0.90 && right_kind >= 0.90, "{row}");
    }
}

#[test]
fn sentences_that_were_once_judged_wrongly() {
    for harmless in [
        "저는 혼자 살아요",
        "과자 살까 고민이에요",
        "혼자 해결해 보려고요",
        "밥도 혼자 해 먹어요",
        "왜 살이 쪘을까요",
        "살이 유난히 쪘어요",
    ] {
        assert_eq!(detect(harmless), None, "{harmless}");
    }
    for (message, crisis) in [
        ("죽을 것 같아요", PossibleSelfHarm),
        ("죽고만 싶어요", SelfHarm),
        ("그만 살고 싶어요", SelfHarm),
        ("살고 싶지가 않아요", SelfHarm),
        ("손목을 그었어요", SelfHarm),
        ("유서를 썼어요", SelfHarm),
        ("뛰어내리고 싶어요", SelfHarm),
        ("그 사람을 죽이고 싶어요", HarmToOthers),
        ("아빠가 때려요", Abuse),
    ] {
        assert_eq!(detect(message), Some(crisis), "{message}");
    }
}

#[test]
fn a_harmless_part_does_not_hide_a_danger() {
    for message in ["안녕하세요. 죽고 싶어요", "드라마를 봤어요. 그런데 저 죽고 싶어요", "배고파 죽겠고, 살기도 싫어요"]
    {
        assert_eq!(detect(message), Some(SelfHarm), "{message}");
    }
}

#[test]
fn of_several_dangers_the_most_urgent_one_decides() {
    for (one, other, first) in [
        ("아빠가 때려요", "죽고 싶어요", SelfHarm),
        ("아빠한테 맞고 살아요", "그 사람을 죽이고 싶어요", Abuse),
        ("그 사람을 죽이고 싶어요", "죽을 것 같아요", HarmToOthers),
    ] {
        assert_ne!(detect(one), detect(other), "two dangers");
        for message in [format!("{one}. {other}"), format!("{other}. {one}")] {
            assert_eq!(detect(&message), Some(first), "{message}");
        }
    }
}

#[test]
fn any_text_is_judged_without_a_panic() {
    for text in
        ["", " ", "\u{0}", "ᆨᆨᆨ", "ㅋ", "👩‍👩‍👧", "ㅠㅠㅠㅠ", "....", "a\u{301}", "٣", &"죽".repeat(80), &"!죽".repeat(40)]
    {
        detect(text);
    }
}

#[test]
fn a_notice_names_its_numbers_in_the_manner_of_the_counsellor() {
    for (crisis, first) in [(SelfHarm, "109"), (PossibleSelfHarm, "109"), (HarmToOthers, "112"), (Abuse, "1366")] {
        for manner in [Manner::Polite, Manner::Casual] {
            let notice = crisis.notice(Language::Korean, manner);
            assert_eq!(notice.numbers[0], first);
            let in_text: BTreeSet<&str> = notice
                .text
                .split(|character: char| !character.is_ascii_digit())
                .filter(|part| part.len() > 2)
                .collect();
            assert_eq!(in_text, notice.numbers.iter().copied().collect(), "{}", notice.text);
            assert_eq!(notice.text.matches('?').count(), 1, "{}", notice.text);
            assert_eq!(notice.text.contains("요."), manner == Manner::Polite, "{}", notice.text);
            assert!(crisis.instruction().contains(first));
        }
    }
}

#[test]
fn an_english_notice_names_the_same_numbers_and_has_no_korean() {
    for crisis in [SelfHarm, PossibleSelfHarm, HarmToOthers, Abuse] {
        for manner in [Manner::Polite, Manner::Casual] {
            let notice = crisis.notice(Language::English, manner);
            assert_eq!(notice.numbers, crisis.notice(Language::Korean, manner).numbers);
            assert!(notice.numbers.iter().all(|number| notice.text.contains(number)), "{}", notice.text);
            assert!(notice.text.is_ascii() && notice.text.ends_with('?'), "{}", notice.text);
        }
    }
}

#[test]
fn what_an_outside_tester_wrote_is_found() {
    for (message, crisis) in [
        ("I will hang myself tonight", SelfHarm),
        ("I took an overdose", SelfHarm),
        ("I will jump off a bridge", SelfHarm),
        ("I have pills and I am going to take them all", SelfHarm),
        ("I have been hurting myself", SelfHarm),
        ("life is not worth living", SelfHarm),
        ("I want to disappear", PossibleSelfHarm),
        ("ㅈㅅ하고싶다", SelfHarm),
    ] {
        assert_eq!(detect(message), Some(crisis), "{message}");
    }
}
