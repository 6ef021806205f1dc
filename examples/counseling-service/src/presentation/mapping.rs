//! Conversions from views to the messages of the contract.
use crate::{
    application::{
        projections::{BubbleSummary, CounselSummary, CounselorProfile, MessageEntry, ToneSummary},
        published::iso,
    },
    domain::{
        counsel::{Reaction, Speaker},
        counselor::Gender,
    },
};
use contracts::v1::model;

impl From<CounselSummary> for model::Counsel {
    fn from(it: CounselSummary) -> Self {
        model::Counsel {
            id: it.id.to_string(),
            counselor_id: it.counselor.to_string(),
            user_id: it.user.to_string(),
            last_message: it.last_message,
            last_chated_at: it.last_chated_at.map(iso),
            prompt_version_id: it.prompt_version.to_string(),
            created_at: iso(it.opened_at),
            updated_at: iso(it.last_chated_at.unwrap_or(it.opened_at)),
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

impl From<CounselorProfile> for model::Counselor {
    fn from(it: CounselorProfile) -> Self {
        let gender = match it.profile.gender {
            Gender::Male => model::CounselorGender::Male,
            Gender::Female => model::CounselorGender::Female,
            Gender::None => model::CounselorGender::None,
        };
        model::Counselor {
            id: it.id.to_string(),
            tone_id: it.tone.to_string(),
            name: it.profile.name,
            description: it.profile.description,
            profile_image: it.profile.profile_image,
            gender: gender.into(),
            created_at: iso(it.created_at),
            updated_at: iso(it.created_at),
            deleted_at: None,
        }
    }
}

impl From<BubbleSummary> for model::Bubble {
    fn from(it: BubbleSummary) -> Self {
        let [first, second] = it.options.map(|option| option.as_str().to_owned());
        model::Bubble {
            id: it.id.to_string(),
            question: it.question,
            response_option1: first,
            response_option2: second,
            created_at: iso(it.created_at),
            updated_at: iso(it.created_at),
            deleted_at: None,
        }
    }
}

impl From<ToneSummary> for model::Tone {
    fn from(it: ToneSummary) -> Self {
        model::Tone {
            id: it.id.to_string(),
            name: it.name,
            description: it.description,
            created_at: iso(it.created_at),
            updated_at: iso(it.created_at),
            deleted_at: None,
        }
    }
}
