//! The properties of a version that can change at any time: they do not instruct the model, except for its name.
use super::{Description, VersionName};
use serde::{Deserialize, Serialize};

/// The language model of a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum AiModel {
    Gpt35Turbo,
    Gpt4,
    /// The model of a new version.
    #[default]
    Gpt4o,
    Gpt4oMini,
    Gpt5Mini,
    Gpt5,
    Gpt5Chat,
    Gemini25Flash,
    Gemini25Pro,
}

impl AiModel {
    /// All models, in the order of the contract.
    pub const ALL: &[AiModel] = &[
        AiModel::Gpt35Turbo,
        AiModel::Gpt4,
        AiModel::Gpt4o,
        AiModel::Gpt4oMini,
        AiModel::Gpt5Mini,
        AiModel::Gpt5,
        AiModel::Gpt5Chat,
        AiModel::Gemini25Flash,
        AiModel::Gemini25Pro,
    ];
}

/// The properties of a version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionDetails {
    pub name: VersionName,
    pub description: Description,
    pub bookmarked: bool,
    pub model: AiModel,
}

/// A change of some properties. A property that is absent stays.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct DetailsChange {
    pub name: Option<VersionName>,
    pub description: Option<Description>,
    pub bookmarked: Option<bool>,
    pub model: Option<AiModel>,
}

impl VersionDetails {
    /// Returns the properties after a change.
    pub fn changed(&self, change: DetailsChange) -> VersionDetails {
        VersionDetails {
            name: change.name.unwrap_or_else(|| self.name.clone()),
            description: change.description.unwrap_or_else(|| self.description.clone()),
            bookmarked: change.bookmarked.unwrap_or(self.bookmarked),
            model: change.model.unwrap_or(self.model),
        }
    }
}
