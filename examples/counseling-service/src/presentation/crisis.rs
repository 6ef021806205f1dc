//! The conversion of a crisis notice to its message of the contract, and its language.
use crate::domain::crisis::{Crisis, Language, Notice};
use contracts::v1::model::{CrisisNotice, RiskKind};
use service_edge::Call;

/// Returns the language in which the caller reads a notice.
pub(super) fn language(call: &Call) -> Language {
    if call.prefers_english() { Language::English } else { Language::Korean }
}

impl From<Notice> for CrisisNotice {
    fn from(Notice { crisis, text, numbers }: Notice) -> Self {
        let kind = match crisis {
            Crisis::SelfHarm | Crisis::PossibleSelfHarm => RiskKind::SelfHarm,
            Crisis::HarmToOthers => RiskKind::HarmToOthers,
            Crisis::Abuse => RiskKind::Abuse,
        };
        let numbers = numbers.iter().map(|number| (*number).to_owned()).collect();
        CrisisNotice { kind: kind.into(), text: text.to_owned(), numbers }
    }
}
