//! The enums of the contracts as JSON: by their names in `proto/`, without the unspecified value.
use super::shown::Shown;
use contracts::v1::{common, model};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{Object, RefOr, Schema, schema::Type},
};

macro_rules! names {
    ($($name:ident($proto:ty)),* $(,)?) => {$(
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) struct $name($proto);
        impl $name {
            /// Iterates over the specified values, which have the numbers from 1 on.
            fn all() -> impl Iterator<Item = $name> {
                (1..).map_while(|number| <$proto>::try_from(number).ok()).map($name)
            }
            fn names() -> Vec<&'static str> {
                $name::all().map(|value| value.0.as_str_name()).collect()
            }
            fn named<E: Error>(name: &str) -> Result<Self, E> {
                let value = $name::all().find(|value| value.0.as_str_name() == name);
                value.ok_or_else(|| E::custom(format!("one of {}", $name::names().join(", "))))
            }
        }
        impl From<$name> for i32 {
            fn from(value: $name) -> i32 {
                value.0.into()
            }
        }
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.0.as_str_name())
            }
        }
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                $name::named(&String::deserialize(deserializer)?)
            }
        }
        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                one_of($name::names())
            }
        }
        impl ToSchema for $name {}
        impl Shown<Option<$name>> for i32 {
            fn shown(self) -> Option<$name> {
                <$proto>::try_from(self).ok().map($name).filter(|value| i32::from(*value) != 0)
            }
        }
        impl Shown<Option<$name>> for Option<i32> {
            fn shown(self) -> Option<$name> {
                self.and_then(Shown::shown)
            }
        }
        impl Shown<Vec<$name>> for Vec<i32> {
            fn shown(self) -> Vec<$name> {
                self.into_iter().filter_map(|number| number.shown()).collect()
            }
        }
        impl Shown<Vec<i32>> for Vec<$name> {
            fn shown(self) -> Vec<i32> {
                self.into_iter().map(i32::from).collect()
            }
        }
    )*};
}
names! {
    Gender(model::Gender),
    Mbti(model::Mbti),
    DevicePlatform(model::DevicePlatform),
    ActivityType(model::ActivityType),
    ConsentKind(model::ConsentKind),
    CounselMessageReaction(model::CounselMessageReaction),
    CounselorGender(model::CounselorGender),
    Speaker(model::Speaker),
    Extension(common::Extension),
    AiModel(model::AiModel),
    ImpactDomain(model::ImpactDomain),
    Timeframe(model::Timeframe),
    EmotionPrimary(model::EmotionPrimary),
    Valence(model::Valence),
    ArousalLevel(model::ArousalLevel),
    PerceivedControl(model::PerceivedControl),
    MotivationStage(model::MotivationStage),
    SocialSupportLevel(model::SocialSupportLevel),
    RiskKind(model::RiskKind),
    SleepQuality(model::SleepQuality),
    CognitiveLoad(model::CognitiveLoad),
    AllianceStrength(model::AllianceStrength),
}

/// Generates the type of a field that an empty text clears.
macro_rules! clearable {
    ($($name:ident($names:ident)),* $(,)?) => {$(
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) struct $name(Option<$names>);
        impl From<$name> for i32 {
            fn from(value: $name) -> i32 {
                value.0.map(i32::from).unwrap_or_default()
            }
        }
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                match String::deserialize(deserializer)?.as_str() {
                    "" => Ok($name(None)),
                    name => $names::named(name).map(|value| $name(Some(value))),
                }
            }
        }
        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                one_of($names::names().into_iter().chain([""]))
            }
        }
        impl ToSchema for $name {}
    )*};
}
clearable! { GenderOrEmpty(Gender), MbtiOrEmpty(Mbti) }

fn one_of(names: impl IntoIterator<Item = &'static str>) -> RefOr<Schema> {
    Object::builder().schema_type(Type::String).enum_values(Some(names)).into()
}

#[cfg(test)]
mod tests {
    use super::{AiModel, Gender, GenderOrEmpty};
    use crate::json::shown::Shown;
    use contracts::v1::model;

    #[test]
    fn a_name_is_read_and_written_as_in_the_contract() {
        let shown: Option<AiModel> = i32::from(model::AiModel::Gemini25Pro).shown();
        assert_eq!(serde_json::to_string(&shown).unwrap(), "\"AI_MODEL_GEMINI_2_5_PRO\"");
        assert_eq!(serde_json::from_str::<AiModel>("\"AI_MODEL_GPT_4O\"").unwrap().0, model::AiModel::Gpt4o);
        assert_eq!(AiModel::names().len(), 9);
        for bad in ["\"AI_MODEL_UNSPECIFIED\"", "\"\"", "\"gpt\"", "1", "null"] {
            assert!(serde_json::from_str::<AiModel>(bad).is_err(), "{bad}");
        }
    }
    #[test]
    fn an_unknown_or_unspecified_number_is_not_shown() {
        for number in [0, -1, 99] {
            assert_eq!(Shown::<Option<Gender>>::shown(number), None);
        }
        assert_eq!(Shown::<Vec<Gender>>::shown(vec![0, 2]), [Gender(model::Gender::Female)]);
    }
    #[test]
    fn an_empty_text_clears() {
        assert_eq!(i32::from(serde_json::from_str::<GenderOrEmpty>("\"\"").unwrap()), 0);
        assert_eq!(i32::from(serde_json::from_str::<GenderOrEmpty>("\"GENDER_FEMALE\"").unwrap()), 2);
        assert!(serde_json::from_str::<GenderOrEmpty>("\"FEMALE\"").is_err());
    }
}
