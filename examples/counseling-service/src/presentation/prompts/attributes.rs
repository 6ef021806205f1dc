//! Conversions of the attributes in the conditions of rules, between their numbers in the contract and the domain.
use crate::domain::prompt::{
    AiModel, AllianceStrength, ArousalLevel, CognitiveLoad, EmotionPrimary, ImpactDomain, MotivationStage,
    PerceivedControl, RiskKind, SleepQuality, SocialSupportLevel, Timeframe, Valence,
};
use service_edge::parse::BadRequest;

/// A value with a number in the contract: its place in `ALL`, from 1. Zero is no value.
pub(super) trait Numbered: Copy + PartialEq + 'static {
    const ALL: &'static [Self];
    /// Returns the number of the value.
    fn number(self) -> i32 {
        (1..).zip(Self::ALL).find(|(_, value)| **value == self).map_or(0, |(number, _)| number)
    }
    /// Parses a number of the contract.
    fn parse(field: &'static str, number: i32) -> Result<Self, BadRequest> {
        let place = usize::try_from(number).ok().and_then(|number| number.checked_sub(1));
        place.and_then(|place| Self::ALL.get(place)).copied().ok_or(BadRequest::Value(field))
    }
}
macro_rules! numbered {
    ($($name:ident),*) => {$(
        impl Numbered for $name {
            const ALL: &'static [Self] = $name::ALL;
        }
    )*};
}
numbered!(
    AiModel,
    AllianceStrength,
    ArousalLevel,
    CognitiveLoad,
    EmotionPrimary,
    ImpactDomain,
    MotivationStage,
    PerceivedControl,
    RiskKind,
    SleepQuality,
    SocialSupportLevel,
    Timeframe,
    Valence
);

/// Parses the numbers of a list. A value that stands in it twice is kept once.
pub(super) fn values<T: Numbered>(field: &'static str, numbers: &[i32]) -> Result<Vec<T>, BadRequest> {
    let mut values = Vec::new();
    for number in numbers {
        let value = T::parse(field, *number)?;
        if !values.contains(&value) {
            values.push(value);
        }
    }
    Ok(values)
}

/// Returns the numbers of a list.
pub(super) fn numbers<T: Numbered>(values: &[T]) -> Vec<i32> {
    values.iter().map(|value| value.number()).collect()
}

#[cfg(test)]
mod tests {
    use super::{BadRequest, Numbered, values};
    use crate::domain::prompt as domain;
    use contracts::v1::model;
    use std::fmt::Debug;

    /// Checks that the values have the names and the numbers of the contract, and that the contract has no others.
    fn agrees<T: Numbered + Debug>(prefix: &str, name: impl Fn(i32) -> Option<&'static str>) {
        for (number, value) in (1..).zip(T::ALL) {
            let contract = name(number).unwrap_or_default().trim_start_matches(prefix).replace('_', "").to_lowercase();
            let ours = format!("{value:?}").to_lowercase().replace("oneself", "self");
            assert_eq!(contract, ours);
            assert_eq!((value.number(), T::parse("field", number)), (number, Ok(*value)));
        }
        let next = i32::try_from(T::ALL.len()).unwrap() + 1;
        assert_eq!(name(next), None);
        for number in [i32::MIN, -1, 0, next, i32::MAX] {
            assert_eq!(T::parse("field", number), Err(BadRequest::Value("field")), "{number}");
        }
    }
    macro_rules! each_agrees {
        ($($name:ident $prefix:literal),*) => {$(
            agrees::<domain::$name>($prefix, |number| {
                model::$name::try_from(number).ok().map(|value| value.as_str_name())
            });
        )*};
    }

    #[test]
    fn the_values_are_those_of_the_contract() {
        each_agrees!(
            AiModel "AI_MODEL_", AllianceStrength "ALLIANCE_STRENGTH_", ArousalLevel "AROUSAL_LEVEL_",
            CognitiveLoad "COGNITIVE_LOAD_", EmotionPrimary "EMOTION_PRIMARY_", ImpactDomain "IMPACT_DOMAIN_",
            MotivationStage "MOTIVATION_STAGE_", PerceivedControl "PERCEIVED_CONTROL_", RiskKind "RISK_KIND_",
            SleepQuality "SLEEP_QUALITY_", SocialSupportLevel "SOCIAL_SUPPORT_LEVEL_", Timeframe "TIMEFRAME_",
            Valence "VALENCE_"
        );
    }
    #[test]
    fn a_value_that_stands_twice_in_a_list_is_kept_once() {
        let parsed = values("required_valences", &[3, 1, 3]);
        assert_eq!(parsed, Ok(vec![domain::Valence::Positive, domain::Valence::Negative]));
        assert_eq!(
            values::<domain::Valence>("required_valences", &[3, 0]),
            Err(BadRequest::Value("required_valences"))
        );
    }
}
