//! The JSON of requests and responses: camel case, enums by their names in `proto/`, unspecified values left out.
mod activities;
mod consents;
mod counselors;
mod counsels;
mod episodes;
mod message_event;
mod names;
mod prompts;
mod rules;
mod shown;
mod users;

pub(crate) use activities::{NewActivity, OneActivity, OneTracking, TrackingUpdate};
pub(crate) use consents::{Consents, NewConsent, OneConsent};
pub(crate) use counselors::{
    BubbleEdit, Bubbles, CounselorEdit, Counselors, NewBubble, NewCounselor, NewTone, OneBubble, OneCounselor,
    OnePresignedUrl, OneTone, ToneEdit, Tones, Upload,
};
pub(crate) use counsels::{
    AdminExchange, AdminMessages, AdminOpened, Counsels, Exchange, MessageChanges, Messages, OneAdminMessage,
    OneCounsel, OneMessage, Opened, RelationshipPage, Relationships,
};
pub(crate) use episodes::{EpisodeEdit, Episodes, NewEpisode, OneEpisode};
pub(crate) use message_event::MessageEvent;
pub(crate) use names::{ConsentKind, CounselMessageReaction};
pub(crate) use prompts::{
    ActivateHistories, NewTechnique, OnePersonaPrompt, OneTechnique, OneTonePrompt, OneVersion, PersonaPromptEdit,
    PersonaPrompts, SavedVersion, TechniqueEdit, Techniques, TonePromptEdit, TonePrompts, VersionEdit, Versions,
};
pub(crate) use rules::{NewRule, OneRule, RuleEdit, Rules};
pub(crate) use users::{Me, OneAdminUser, UserUpdate};

use crate::error::Error;
use serde::Serialize;
use utoipa::ToSchema;

/// The data of an answer that has nothing to say.
#[derive(Serialize, ToSchema)]
pub(crate) struct Nothing {}

/// Converts the items of a list to their JSON form.
pub(crate) fn each<P, J: From<P>>(items: Vec<P>) -> Vec<J> {
    items.into_iter().map(J::from).collect()
}

/// Converts the result of a query, or fails with the error of an unknown id.
pub(crate) fn found<P, J: From<P>>(model: Option<P>) -> Result<J, Error> {
    model.map(J::from).ok_or_else(Error::unknown_id)
}

/// Converts the result of a command, which must be there.
pub(crate) fn changed<P, J: From<P>>(model: Option<P>) -> Result<J, Error> {
    model.map(J::from).ok_or_else(Error::broken)
}
