//! The JSON of counsellors, bubbles and tones.
use super::specified;
use contracts::v1::model;
use serde::Serialize;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Counselor {
    id: String,
    tone_id: String,
    name: String,
    description: String,
    profile_image: String,
    gender: Option<&'static str>,
    created_at: String,
    updated_at: String,
    deleted_at: Option<String>,
}
impl From<model::Counselor> for Counselor {
    fn from(counselor: model::Counselor) -> Self {
        Counselor {
            gender: specified(counselor.gender().as_str_name()),
            id: counselor.id,
            tone_id: counselor.tone_id,
            name: counselor.name,
            description: counselor.description,
            profile_image: counselor.profile_image,
            created_at: counselor.created_at,
            updated_at: counselor.updated_at,
            deleted_at: counselor.deleted_at,
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Bubble {
    id: String,
    question: String,
    response_option1: String,
    response_option2: String,
    created_at: String,
    updated_at: String,
    deleted_at: Option<String>,
}
impl From<model::Bubble> for Bubble {
    fn from(bubble: model::Bubble) -> Self {
        Bubble {
            id: bubble.id,
            question: bubble.question,
            response_option1: bubble.response_option1,
            response_option2: bubble.response_option2,
            created_at: bubble.created_at,
            updated_at: bubble.updated_at,
            deleted_at: bubble.deleted_at,
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Tone {
    id: String,
    name: String,
    description: String,
    created_at: String,
    updated_at: String,
    deleted_at: Option<String>,
}
impl From<model::Tone> for Tone {
    fn from(tone: model::Tone) -> Self {
        Tone {
            id: tone.id,
            name: tone.name,
            description: tone.description,
            created_at: tone.created_at,
            updated_at: tone.updated_at,
            deleted_at: tone.deleted_at,
        }
    }
}
