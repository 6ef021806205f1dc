//! The JSON of counsellors, bubbles, tones and upload URLs.
use super::{
    names::{CounselorGender, Extension},
    shown::{answers, pages, shown},
};
use contracts::v1::{common, service as rpc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

shown! {
    /// An AI persona to talk to.
    Counselor of Counselor {
        id: String,
        tone_id: String,
        name: String,
        description: String,
        /// URL of the picture, or empty.
        profile_image: String,
        gender: Option<CounselorGender>,
        created_at: String,
        updated_at: String,
        deleted_at: Option<String>,
    }
}
shown! {
    /// An ice-breaking question of a counsellor, with two answers to choose from.
    Bubble of Bubble {
        id: String,
        question: String,
        response_option1: String,
        response_option2: String,
        created_at: String,
        updated_at: String,
        deleted_at: Option<String>,
    }
}
shown! {
    /// A style of speech that counsellors share.
    Tone of Tone {
        id: String,
        name: String,
        description: String,
        created_at: String,
        updated_at: String,
        deleted_at: Option<String>,
    }
}
answers! {
    OneCounselor { counselor: Counselor of model::Counselor }
    OneBubble { bubble: Bubble of model::Bubble }
    OneTone { tone: Tone of model::Tone }
    OnePresignedUrl { presigned_url: PresignedUrl of common::PresignedUrl }
}
pages! {
    Counselors { counselors: [Counselor] of FindCounselorsResponse }
    Bubbles { bubbles: [Bubble] of FindBubblesResponse }
    Tones { tones: [Tone] of FindTonesResponse }
}

/// A URL to which an image can be uploaded once, and the address at which it is readable then.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PresignedUrl {
    upload_url: String,
    public_url: String,
    expires_at: String,
}
impl From<common::PresignedUrl> for PresignedUrl {
    fn from(url: common::PresignedUrl) -> Self {
        PresignedUrl { upload_url: url.upload_url, public_url: url.public_url, expires_at: url.expires_at }
    }
}

#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct NewCounselor {
    tone_id: Uuid,
    #[schema(min_length = 1, max_length = 20)]
    name: String,
    #[schema(min_length = 1, max_length = 100)]
    description: String,
    /// The public URL of an uploaded image, or empty.
    #[serde(default)]
    profile_image: String,
    gender: CounselorGender,
}
impl From<NewCounselor> for rpc::CreateCounselorRequest {
    fn from(new: NewCounselor) -> Self {
        rpc::CreateCounselorRequest {
            tone_id: new.tone_id.to_string(),
            name: new.name,
            description: new.description,
            profile_image: new.profile_image,
            counselor_gender: new.gender.into(),
        }
    }
}

/// An absent field keeps its value.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CounselorEdit {
    tone_id: Option<Uuid>,
    #[schema(min_length = 1, max_length = 20)]
    name: Option<String>,
    #[schema(min_length = 1, max_length = 100)]
    description: Option<String>,
    profile_image: Option<String>,
    gender: Option<CounselorGender>,
}
impl CounselorEdit {
    pub(crate) fn of(self, counselor: Uuid) -> rpc::UpdateCounselorRequest {
        rpc::UpdateCounselorRequest {
            counselor_id: counselor.to_string(),
            tone_id: self.tone_id.map(|id| id.to_string()),
            name: self.name,
            description: self.description,
            profile_image: self.profile_image,
            counselor_gender: self.gender.map(i32::from),
        }
    }
}

#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct NewBubble {
    #[schema(min_length = 1)]
    question: String,
    #[schema(min_length = 1, max_length = 80)]
    response_option1: String,
    #[schema(min_length = 1, max_length = 80)]
    response_option2: String,
}
impl NewBubble {
    pub(crate) fn of(self, counselor: Uuid) -> rpc::CreateBubbleRequest {
        rpc::CreateBubbleRequest {
            counselor_id: counselor.to_string(),
            question: self.question,
            response_option1: self.response_option1,
            response_option2: self.response_option2,
        }
    }
}

/// An absent field keeps its value.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct BubbleEdit {
    #[schema(min_length = 1)]
    question: Option<String>,
    #[schema(min_length = 1, max_length = 80)]
    response_option1: Option<String>,
    #[schema(min_length = 1, max_length = 80)]
    response_option2: Option<String>,
}
impl BubbleEdit {
    pub(crate) fn of(self, counselor: Uuid, bubble: Uuid) -> rpc::UpdateBubbleRequest {
        rpc::UpdateBubbleRequest {
            bubble_id: bubble.to_string(),
            counselor_id: counselor.to_string(),
            question: self.question,
            response_option1: self.response_option1,
            response_option2: self.response_option2,
        }
    }
}

#[derive(Deserialize, ToSchema)]
pub(crate) struct NewTone {
    #[schema(min_length = 1)]
    name: String,
    #[schema(min_length = 1)]
    description: String,
}
impl From<NewTone> for rpc::CreateToneRequest {
    fn from(new: NewTone) -> Self {
        rpc::CreateToneRequest { name: new.name, description: new.description }
    }
}

/// An absent field keeps its value.
#[derive(Deserialize, ToSchema)]
pub(crate) struct ToneEdit {
    #[schema(min_length = 1)]
    name: Option<String>,
    #[schema(min_length = 1)]
    description: Option<String>,
}
impl ToneEdit {
    pub(crate) fn of(self, tone: Uuid) -> rpc::UpdateToneRequest {
        rpc::UpdateToneRequest { tone_id: tone.to_string(), name: self.name, description: self.description }
    }
}

/// The type of the image that will be uploaded.
#[derive(Deserialize, ToSchema)]
pub(crate) struct Upload {
    pub(crate) extension: Extension,
}
