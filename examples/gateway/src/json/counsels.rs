//! The JSON of counsels and their messages.
use super::specified;
use contracts::v1::model;
use serde::Serialize;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Counsel {
    id: String,
    counselor_id: String,
    user_id: String,
    last_message: Option<String>,
    last_chated_at: Option<String>,
    prompt_version_id: String,
    created_at: String,
    updated_at: String,
    deleted_at: Option<String>,
}
impl From<model::Counsel> for Counsel {
    fn from(counsel: model::Counsel) -> Self {
        Counsel {
            id: counsel.id,
            counselor_id: counsel.counselor_id,
            user_id: counsel.user_id,
            last_message: counsel.last_message,
            last_chated_at: counsel.last_chated_at,
            prompt_version_id: counsel.prompt_version_id,
            created_at: counsel.created_at,
            updated_at: counsel.updated_at,
            deleted_at: counsel.deleted_at,
        }
    }
}

/// A message without its technique, which is only for authors of prompts.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CounselMessage {
    id: String,
    counsel_id: String,
    message: String,
    is_user_message: bool,
    reacted_at: Option<String>,
    reaction: Option<&'static str>,
    created_at: String,
    updated_at: String,
    deleted_at: Option<String>,
}
impl From<model::CounselMessage> for CounselMessage {
    fn from(message: model::CounselMessage) -> Self {
        CounselMessage {
            reaction: specified(message.reaction().as_str_name()),
            id: message.id,
            counsel_id: message.counsel_id,
            message: message.message,
            is_user_message: message.is_user_message,
            reacted_at: message.reacted_at,
            created_at: message.created_at,
            updated_at: message.updated_at,
            deleted_at: message.deleted_at,
        }
    }
}
