//! The integration events of this context. Each concerns one person, and their id is the key that keeps the order.
use crate::domain::counsel::{CounselEvent, ExchangeEvent, MessageEvent, Speaker};
use contracts::{
    iso,
    v1::message::{CounselCreated, CounselMessageCreated, CounselReplied, CounselReplyFailed},
};
use cqrs_core::{Recorded, publish};

#[publish]
fn counsel_created(event: &Recorded<CounselEvent>) -> Option<CounselCreated> {
    let CounselEvent::Opened { user, counselor, .. } = &event.event else { return None };
    Some(CounselCreated {
        counsel_id: event.aggregate_id.to_string(),
        user_id: user.to_string(),
        counselor_id: counselor.to_string(),
        occurred_at: iso(event.occurred_at),
    })
}

/// Published for the messages of both speakers, without their texts. It consumes no token; the reply does.
#[publish]
fn counsel_message_created(event: &Recorded<MessageEvent>) -> Option<CounselMessageCreated> {
    let MessageEvent::Sent(sent) = &event.event else { return None };
    Some(CounselMessageCreated {
        counsel_message_id: event.aggregate_id.to_string(),
        counsel_id: sent.counsel.to_string(),
        user_id: sent.user.to_string(),
        message: String::new(),
        is_user_message: sent.by == Speaker::Person,
        occurred_at: iso(event.occurred_at),
    })
}

/// Makes the user service consume the token that is held for the exchange, or release it when the exchange is free.
#[publish]
fn counsel_replied(event: &Recorded<ExchangeEvent>) -> Option<CounselReplied> {
    let ExchangeEvent::Replied { counsel, user, reply, attempt, is_free } = &event.event else { return None };
    Some(CounselReplied {
        counsel_id: counsel.to_string(),
        user_id: user.to_string(),
        exchange_id: event.aggregate_id.to_string(),
        counsel_message_id: reply.to_string(),
        occurred_at: iso(event.occurred_at),
        is_free: is_free.then_some(true),
        attempt: Some(i32::try_from(*attempt).unwrap_or(i32::MAX)),
    })
}

/// Makes the user service release the token that is held for this attempt.
#[publish]
fn counsel_reply_failed(event: &Recorded<ExchangeEvent>) -> Option<CounselReplyFailed> {
    let ExchangeEvent::Failed { counsel, user, attempt, reason } = &event.event else { return None };
    Some(CounselReplyFailed {
        counsel_id: counsel.to_string(),
        user_id: user.to_string(),
        exchange_id: event.aggregate_id.to_string(),
        attempt: i32::try_from(*attempt).unwrap_or(i32::MAX),
        reason: reason.clone(),
        occurred_at: iso(event.occurred_at),
    })
}
