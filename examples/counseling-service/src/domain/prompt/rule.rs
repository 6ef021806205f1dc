//! A transition rule: a guarded edge between two techniques of a version.
use super::{
    AllianceStrength, ArousalLevel, CognitiveLoad, EmotionPrimary, ImpactDomain, InvalidField, MotivationStage,
    PerceivedControl, RiskKind, RuleId, SleepQuality, SocialSupportLevel, Stamp, TechniqueId, Timeframe, Valence,
};
use serde::{Deserialize, Serialize};

/// The largest number that the contract carries.
const LARGEST: u32 = i32::MAX as u32;

/// A rule of a version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    pub id: RuleId,
    pub from: TechniqueId,
    pub to: TechniqueId,
    pub spec: RuleSpec,
    pub stamp: Stamp,
}

/// The priority and the conditions of a rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleSpec {
    pub priority: Priority,
    pub conditions: Conditions,
}

/// The priority of a rule; the highest one wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Priority(u32);
impl Priority {
    /// Validates the priority of a request.
    ///
    /// # Errors
    /// Fails when the number is negative.
    pub fn parse(priority: i32) -> Result<Self, InvalidField> {
        let refused = |_| InvalidField::OutOfRange { field: "priority", least: 0, most: LARGEST };
        priority.try_into().map(Priority).map_err(refused)
    }
    pub fn value(self) -> u32 {
        self.0
    }
}

/// The conditions of a rule, all of which must hold. An empty list accepts every value, as an absent bound does.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Conditions {
    /// The number of messages since the current technique began.
    pub messages: Bounds,
    pub impact_domains: Vec<ImpactDomain>,
    pub timeframes: Vec<Timeframe>,
    pub emotion_primaries: Vec<EmotionPrimary>,
    pub valences: Vec<Valence>,
    pub arousal_levels: Vec<ArousalLevel>,
    pub emotion_intensity: Bounds,
    pub perceived_controls: Vec<PerceivedControl>,
    pub motivation_stages: Vec<MotivationStage>,
    pub self_efficacy: Bounds,
    pub social_support_levels: Vec<SocialSupportLevel>,
    pub risk_kinds: Vec<RiskKind>,
    pub risk_severity: Bounds,
    pub sleep_qualities: Vec<SleepQuality>,
    pub physical_symptoms_present: Option<bool>,
    pub cognitive_loads: Vec<CognitiveLoad>,
    pub alliance_strengths: Vec<AllianceStrength>,
    pub consent_to_depth: Option<bool>,
}

/// A range of a number, with at most two ends. The constructors check that the minimum is not above the maximum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Bounds {
    min: Option<u32>,
    max: Option<u32>,
}
impl Bounds {
    /// Bounds the number of messages in the current technique.
    ///
    /// # Errors
    /// Fails when an end is negative, and when the minimum is above the maximum. The other constructors do so alike.
    pub fn messages(min: Option<i32>, max: Option<i32>) -> Result<Self, InvalidField> {
        let names = ["min_current_technique_message_count", "max_current_technique_message_count"];
        Bounds::parse(names, LARGEST, min, max)
    }
    /// Bounds the intensity of the emotion: 0 to 10.
    ///
    /// # Errors
    /// Fails when an end is outside its range, and when the minimum is above the maximum.
    pub fn emotion_intensity(min: Option<i32>, max: Option<i32>) -> Result<Self, InvalidField> {
        Bounds::parse(["min_emotion_intensity", "max_emotion_intensity"], 10, min, max)
    }
    /// Bounds the self-efficacy: 0 to 10.
    ///
    /// # Errors
    /// Fails when an end is outside its range, and when the minimum is above the maximum.
    pub fn self_efficacy(min: Option<i32>, max: Option<i32>) -> Result<Self, InvalidField> {
        Bounds::parse(["min_self_efficacy", "max_self_efficacy"], 10, min, max)
    }
    /// Bounds the severity of the risk: 0 to 3.
    ///
    /// # Errors
    /// Fails when an end is outside its range, and when the minimum is above the maximum.
    pub fn risk_severity(min: Option<i32>, max: Option<i32>) -> Result<Self, InvalidField> {
        Bounds::parse(["min_risk_severity", "max_risk_severity"], 3, min, max)
    }

    fn parse(
        [min_name, max_name]: [&'static str; 2],
        most: u32,
        min: Option<i32>,
        max: Option<i32>,
    ) -> Result<Self, InvalidField> {
        let end = |field: &'static str, value: Option<i32>| {
            let in_range = |value: i32| u32::try_from(value).ok().filter(|value| *value <= most);
            let refused = InvalidField::OutOfRange { field, least: 0, most };
            value.map(|value| in_range(value).ok_or(refused)).transpose()
        };
        let bounds = Bounds { min: end(min_name, min)?, max: end(max_name, max)? };
        match bounds {
            Bounds { min: Some(min), max: Some(max) } if min > max => {
                Err(InvalidField::BelowMinimum { field: max_name, minimum: min_name })
            }
            bounds => Ok(bounds),
        }
    }
    /// Returns the least and the greatest number.
    pub fn ends(self) -> (Option<u32>, Option<u32>) {
        (self.min, self.max)
    }
    /// Returns whether a number is in the range. A number that is not known is in every range.
    pub fn accepts(self, number: Option<u32>) -> bool {
        let Some(number) = number else { return true };
        self.min.is_none_or(|min| min <= number) && self.max.is_none_or(|max| number <= max)
    }
}

#[cfg(test)]
mod tests {
    use super::{Bounds, Priority};
    use cqrs_core::DomainError;

    #[test]
    fn bounds_are_in_their_range_and_in_order() {
        for (parsed, field) in [
            (Bounds::messages(Some(-1), None), "min_current_technique_message_count"),
            (Bounds::messages(None, Some(-1)), "max_current_technique_message_count"),
            (Bounds::messages(Some(3), Some(2)), "max_current_technique_message_count"),
            (Bounds::emotion_intensity(None, Some(11)), "max_emotion_intensity"),
            (Bounds::self_efficacy(Some(11), None), "min_self_efficacy"),
            (Bounds::self_efficacy(Some(9), Some(8)), "max_self_efficacy"),
            (Bounds::risk_severity(Some(4), None), "min_risk_severity"),
            (Bounds::risk_severity(Some(i32::MIN), Some(3)), "min_risk_severity"),
        ] {
            assert_eq!(parsed.unwrap_err().field(), Some(field));
        }
        assert_eq!(Bounds::messages(Some(i32::MAX), None).unwrap().ends(), (Some(i32::MAX as u32), None));
        assert_eq!(Bounds::emotion_intensity(Some(0), Some(10)).unwrap().ends(), (Some(0), Some(10)));
        assert_eq!(Bounds::risk_severity(Some(3), Some(3)).unwrap().ends(), (Some(3), Some(3)));
    }
    #[test]
    fn both_ends_of_a_range_belong_to_it() {
        let bounds = Bounds::emotion_intensity(Some(2), Some(4)).unwrap();
        let accepted: Vec<_> = (0..=10).filter(|number| bounds.accepts(Some(*number))).collect();
        assert_eq!(accepted, [2, 3, 4]);
        assert!(bounds.accepts(None));
    }
    #[test]
    fn a_priority_is_not_negative() {
        assert_eq!(Priority::parse(-1).unwrap_err().field(), Some("priority"));
        assert!(Priority::parse(0).unwrap() < Priority::parse(1).unwrap());
    }
}
