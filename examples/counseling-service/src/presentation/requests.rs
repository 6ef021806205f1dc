//! Conversions from request messages to queries and processes.
use super::parse::{BadRequest, id, optional, part};
use crate::{
    application::{
        commands::{CreateCounsel, CreateCounselFromBubble},
        processes::OpenCounsel,
        queries::{
            FindBubbleById, FindBubbles, FindCounselorById, FindCounselors, FindCounsels, FindRandomBubble,
            FindToneById, FindTones,
        },
    },
    domain::{
        counsel::{ExchangeId, Reaction},
        counselor::Choice,
    },
};
use contracts::v1::{model::CounselMessageReaction, service};
use uuid::Uuid;

impl TryFrom<service::CreateCounselRequest> for OpenCounsel {
    type Error = BadRequest;
    /// Accepts a bubble and a choice, or neither.
    fn try_from(request: service::CreateCounselRequest) -> Result<Self, BadRequest> {
        let user = id(&request.user_id, BadRequest::UserId)?;
        let counselor = id(&request.counselor_id, BadRequest::CounselorId)?;
        let prompt_version = optional(request.prompt_version_id.as_deref(), BadRequest::PromptVersionId)?;
        let Some(bubble) = optional(request.bubble_id.as_deref(), BadRequest::BubbleId)? else {
            return match request.response_option_no {
                None => Ok(OpenCounsel::Greeted(CreateCounsel { user, counselor, prompt_version })),
                Some(_) => Err(BadRequest::NoBubble),
            };
        };
        let choice = match request.response_option_no {
            Some(1) => Choice::First,
            Some(2) => Choice::Second,
            _ => return Err(BadRequest::Option),
        };
        let exchange = exchange(request.exchange_id.as_deref())?;
        let command = CreateCounselFromBubble { user, counselor, prompt_version, bubble, choice, exchange };
        Ok(OpenCounsel::FromBubble(command))
    }
}

/// Parses the exchange id. A client of the original Hearlers sends none; it gets a new one.
pub(super) fn exchange(text: Option<&str>) -> Result<ExchangeId, BadRequest> {
    Ok(optional(text, BadRequest::ExchangeId)?.unwrap_or_else(|| Uuid::now_v7().into()))
}

pub(super) fn reaction(value: CounselMessageReaction) -> Result<Reaction, BadRequest> {
    match value {
        CounselMessageReaction::Like => Ok(Reaction::Like),
        CounselMessageReaction::Dislike => Ok(Reaction::Dislike),
        CounselMessageReaction::Unspecified => Err(BadRequest::Reaction),
    }
}

impl TryFrom<service::FindCounselsRequest> for FindCounsels {
    type Error = BadRequest;
    fn try_from(request: service::FindCounselsRequest) -> Result<Self, BadRequest> {
        Ok(FindCounsels {
            user: id(&request.user_id, BadRequest::UserId)?,
            counselor: optional(request.counselor_id.as_deref(), BadRequest::CounselorId)?,
            part: part(request.after.as_deref(), request.limit)?,
        })
    }
}
impl TryFrom<service::FindCounselorsRequest> for FindCounselors {
    type Error = BadRequest;
    fn try_from(request: service::FindCounselorsRequest) -> Result<Self, BadRequest> {
        let tone = optional(request.tone_id.as_deref(), BadRequest::ToneId)?;
        Ok(FindCounselors { tone, part: part(request.after.as_deref(), request.limit)? })
    }
}
impl TryFrom<service::FindCounselorByIdRequest> for FindCounselorById {
    type Error = BadRequest;
    fn try_from(request: service::FindCounselorByIdRequest) -> Result<Self, BadRequest> {
        Ok(FindCounselorById { id: id(&request.counselor_id, BadRequest::CounselorId)? })
    }
}
impl TryFrom<service::FindBubblesRequest> for FindBubbles {
    type Error = BadRequest;
    fn try_from(request: service::FindBubblesRequest) -> Result<Self, BadRequest> {
        let counselor = id(&request.counselor_id, BadRequest::CounselorId)?;
        Ok(FindBubbles { counselor, part: part(request.after.as_deref(), request.limit)? })
    }
}
impl TryFrom<service::FindBubbleByIdRequest> for FindBubbleById {
    type Error = BadRequest;
    fn try_from(request: service::FindBubbleByIdRequest) -> Result<Self, BadRequest> {
        let counselor = id(&request.counselor_id, BadRequest::CounselorId)?;
        Ok(FindBubbleById { id: id(&request.bubble_id, BadRequest::BubbleId)?, counselor })
    }
}
impl TryFrom<service::FindRandomBubbleRequest> for FindRandomBubble {
    type Error = BadRequest;
    fn try_from(request: service::FindRandomBubbleRequest) -> Result<Self, BadRequest> {
        Ok(FindRandomBubble { counselor: id(&request.counselor_id, BadRequest::CounselorId)? })
    }
}
impl TryFrom<service::FindTonesRequest> for FindTones {
    type Error = BadRequest;
    fn try_from(request: service::FindTonesRequest) -> Result<Self, BadRequest> {
        Ok(FindTones { part: part(request.after.as_deref(), request.limit)?, name: request.name })
    }
}
impl TryFrom<service::FindToneByIdRequest> for FindToneById {
    type Error = BadRequest;
    fn try_from(request: service::FindToneByIdRequest) -> Result<Self, BadRequest> {
        Ok(FindToneById { id: id(&request.tone_id, BadRequest::ToneId)? })
    }
}
