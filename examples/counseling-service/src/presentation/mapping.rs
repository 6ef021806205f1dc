//! Conversions from views to the messages of the contract.
use crate::{
    application::projections::{
        BubbleSummary, ConsentEntry, CounselSummary, CounselorProfile, MessageEntry, ToneSummary,
    },
    domain::{
        consent::ConsentKind,
        counsel::{Reaction, Speaker},
        counselor::Gender,
    },
};
use contracts::{iso, v1::model};
use cqrs_core::Cursor;

impl From<CounselSummary> for model::Counsel {
    fn from(counsel: CounselSummary) -> Self {
        model::Counsel {
            id: counsel.id.to_string(),
            counselor_id: counsel.counselor.to_string(),
            user_id: counsel.user.to_string(),
            last_message: Some(counsel.last_message),
            last_chated_at: Some(iso(counsel.last_chated_at)),
            prompt_version_id: counsel.prompt_version.to_string(),
            created_at: iso(counsel.opened_at),
            updated_at: iso(counsel.last_chated_at),
            deleted_at: None,
        }
    }
}

impl From<MessageEntry> for model::CounselMessage {
    fn from(MessageEntry { sent, reaction, .. }: MessageEntry) -> Self {
        model::CounselMessage {
            id: sent.id.to_string(),
            counsel_id: sent.counsel.to_string(),
            message: sent.text,
            is_user_message: sent.by == Speaker::Person,
            reacted_at: reaction.map(|(_, at)| iso(at)),
            reaction: reaction.map(|(reaction, _)| i32::from(reaction_of(reaction))),
            counsel_technique_id: sent.technique.to_string(),
            created_at: iso(sent.at),
            updated_at: iso(reaction.map_or(sent.at, |(_, at)| at)),
            deleted_at: None,
        }
    }
}

fn reaction_of(reaction: Reaction) -> model::CounselMessageReaction {
    match reaction {
        Reaction::Like => model::CounselMessageReaction::Like,
        Reaction::Dislike => model::CounselMessageReaction::Dislike,
    }
}

impl From<ConsentEntry> for model::Consent {
    fn from(consent: ConsentEntry) -> Self {
        let kind = match consent.kind {
            ConsentKind::SensitiveData => model::ConsentKind::SensitiveData,
            ConsentKind::ForeignModel => model::ConsentKind::ForeignModel,
        };
        model::Consent {
            kind: kind.into(),
            text_version: consent.text_version,
            given_at: iso(consent.given_at),
            withdrawn_at: consent.withdrawn_at.map(iso),
        }
    }
}

impl From<CounselorProfile> for model::Counselor {
    fn from(counselor: CounselorProfile) -> Self {
        let gender = match counselor.profile.gender {
            Gender::Male => model::CounselorGender::Male,
            Gender::Female => model::CounselorGender::Female,
            Gender::None => model::CounselorGender::None,
        };
        model::Counselor {
            id: counselor.id.to_string(),
            tone_id: counselor.tone.to_string(),
            name: counselor.profile.name.to_string(),
            description: counselor.profile.description.to_string(),
            profile_image: counselor.profile.profile_image.map(|url| url.to_string()).unwrap_or_default(),
            gender: gender.into(),
            created_at: iso(counselor.created_at),
            updated_at: iso(counselor.updated_at.unwrap_or(counselor.created_at)),
            deleted_at: None,
        }
    }
}

impl From<BubbleSummary> for model::Bubble {
    fn from(bubble: BubbleSummary) -> Self {
        let [first, second] = bubble.options.map(|option| option.as_str().to_owned());
        model::Bubble {
            id: bubble.id.to_string(),
            question: bubble.question,
            response_option1: first,
            response_option2: second,
            created_at: iso(bubble.created_at),
            updated_at: iso(bubble.updated_at.unwrap_or(bubble.created_at)),
            deleted_at: None,
        }
    }
}

impl From<ToneSummary> for model::Tone {
    fn from(tone: ToneSummary) -> Self {
        model::Tone {
            id: tone.id.to_string(),
            name: tone.name,
            description: tone.description.to_string(),
            created_at: iso(tone.created_at),
            updated_at: iso(tone.updated_at.unwrap_or(tone.created_at)),
            deleted_at: None,
        }
    }
}

/// Converts the items of a list to their messages.
pub(super) fn each<V, M: From<V>>(items: Vec<V>) -> Vec<M> {
    items.into_iter().map(M::from).collect()
}

/// Converts the cursor of the next page to its text.
pub(super) fn text(next: Option<Cursor>) -> Option<String> {
    next.map(|cursor| cursor.to_string())
}
