//! The conversion of a crisis notice to its message of the contract.
use crate::domain::crisis::{Crisis, Notice};
use contracts::v1::model::{CrisisNotice, RiskKind};

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
