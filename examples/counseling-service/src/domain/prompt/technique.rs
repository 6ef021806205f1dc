//! A technique: a phase of a counsel in one tone, with its subject and the counsellor's task.
use super::{InvalidField, PromptBody, Stamp, TechniqueId, TechniqueName};
use crate::domain::counselor::ToneId;
use serde::{Deserialize, Serialize};

/// The sampling temperature of the model: 0 to 2, as the providers of models define it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Temperature(f64);
impl Temperature {
    /// Validates the temperature of a request.
    ///
    /// # Errors
    /// Fails when the number is not 0 to 2, or not a number.
    pub fn parse(temperature: f64) -> Result<Self, InvalidField> {
        match (0.0..=2.0).contains(&temperature) {
            // Without the sign of a negative zero.
            true => Ok(Temperature(temperature.abs())),
            false => Err(InvalidField::OutOfRange { field: "temperature", least: 0, most: 2 }),
        }
    }
    pub fn value(self) -> f64 {
        self.0
    }
}

/// A technique of a version.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Technique {
    pub id: TechniqueId,
    pub spec: TechniqueSpec,
    pub stamp: Stamp,
}

/// The content of a technique.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TechniqueSpec {
    /// A name for people; nothing depends on it.
    pub name: TechniqueName,
    /// The tone that it is written for.
    pub tone: ToneId,
    /// The subject of the phase.
    pub context: PromptBody,
    /// The counsellor's task.
    pub instruction: PromptBody,
    pub temperature: Temperature,
    /// True for the technique that a counsel with this tone starts with.
    pub start: bool,
}

/// A change of some properties. A property that is absent stays; the tone cannot change.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct TechniqueChange {
    pub name: Option<TechniqueName>,
    pub context: Option<PromptBody>,
    pub instruction: Option<PromptBody>,
    pub temperature: Option<Temperature>,
    pub start: Option<bool>,
}

impl TechniqueSpec {
    /// Returns the content after a change.
    pub fn changed(&self, change: TechniqueChange) -> TechniqueSpec {
        TechniqueSpec {
            name: change.name.unwrap_or_else(|| self.name.clone()),
            tone: self.tone,
            context: change.context.unwrap_or_else(|| self.context.clone()),
            instruction: change.instruction.unwrap_or_else(|| self.instruction.clone()),
            temperature: change.temperature.unwrap_or(self.temperature),
            start: change.start.unwrap_or(self.start),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Temperature;

    #[test]
    fn a_temperature_is_a_number_from_0_to_2() {
        for good in [0.0, -0.0, 0.7, 2.0] {
            assert!(Temperature::parse(good).is_ok_and(|parsed| parsed.value().is_sign_positive()), "{good}");
        }
        for bad in [-0.1, 2.000_1, f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert!(Temperature::parse(bad).is_err(), "{bad}");
        }
    }
}
