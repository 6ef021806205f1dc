//! The JSON of counsels, their messages and relationships.
use super::{
    changed, each,
    names::{CounselMessageReaction, RiskKind},
    shown::{answers, pages, shown},
};
use crate::error::Error;
use contracts::v1::service as rpc;
use serde::Serialize;
use utoipa::ToSchema;

shown! {
    /// One chat of a person with a counsellor.
    Counsel of Counsel {
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
}
shown! {
    /// A message without its technique, which is only for authors of prompts.
    CounselMessage of CounselMessage {
        id: String,
        counsel_id: String,
        message: String,
        is_user_message: bool,
        reacted_at: Option<String>,
        reaction: Option<CounselMessageReaction>,
        created_at: String,
        updated_at: String,
        deleted_at: Option<String>,
    }
}
shown! {
    /// A message with the technique that was in use.
    AdminCounselMessage of CounselMessage {
        id: String,
        counsel_id: String,
        message: String,
        is_user_message: bool,
        reacted_at: Option<String>,
        reaction: Option<CounselMessageReaction>,
        counsel_technique_id: String,
        created_at: String,
        updated_at: String,
        deleted_at: Option<String>,
    }
}
shown! {
    /// How close the caller and a counsellor are.
    CounselorUserRelationship of CounselorUserRelationship {
        id: String,
        counselor_id: String,
        user_id: String,
        rapport: i32,
        created_at: String,
        updated_at: String,
        deleted_at: Option<String>,
    }
}
shown! {
    /// Where to find help, when a message spoke of a danger to somebody.
    CrisisNotice of CrisisNotice {
        kind: Option<RiskKind>,
        text: String,
        /// Telephone numbers in the order of their importance.
        numbers: Vec<String>,
    }
}
answers! {
    OneCounsel { counsel: Counsel of model::Counsel }
    OneMessage { counsel_message: CounselMessage of model::CounselMessage }
    OneAdminMessage { counsel_message: AdminCounselMessage of model::CounselMessage }
}
pages! {
    Counsels { counsels: [Counsel] of FindCounselsResponse }
    RelationshipPage {
        counselor_user_relationships: [CounselorUserRelationship] of FindCounselorUserRelationshipsResponse
    }
}

/// The relationship with one counsellor: a list of one, or empty before the first message.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Relationships {
    pub(crate) counselor_user_relationships: Vec<CounselorUserRelationship>,
}

/// Messages that are new or have changed: the data of a server-sent event.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct MessageChanges {
    /// In the order of the counsel.
    counsel_messages: Vec<CounselMessage>,
    /// True for the newest messages as a whole, at most 100. Older ones can be missing.
    is_first: bool,
    /// The number of events that were left out because the client was too slow. This one has their messages.
    skipped: u64,
}
impl From<rpc::WatchMessagesResponse> for MessageChanges {
    fn from(update: rpc::WatchMessagesResponse) -> Self {
        let rpc::WatchMessagesResponse { counsel_messages, is_first, skipped, .. } = update;
        MessageChanges { counsel_messages: each(counsel_messages), is_first, skipped }
    }
}

/// Defines the answers that contain messages, for one kind of message.
macro_rules! conversations {
    ($message:ident: $opened:ident, $messages:ident, $exchange:ident) => {
        /// A new counsel with its first messages.
        #[derive(Serialize, ToSchema)]
        #[serde(rename_all = "camelCase")]
        pub(crate) struct $opened {
            counsel: Counsel,
            counsel_messages: Vec<$message>,
            /// Where to find help, when the answer to a bubble spoke of a danger to somebody.
            crisis: Option<CrisisNotice>,
        }
        impl TryFrom<rpc::CreateCounselResponse> for $opened {
            type Error = Error;
            fn try_from(opened: rpc::CreateCounselResponse) -> Result<Self, Error> {
                Ok($opened {
                    counsel: changed(opened.counsel)?,
                    counsel_messages: each(opened.counsel_messages),
                    crisis: opened.crisis.map(CrisisNotice::from),
                })
            }
        }
        /// One page of the messages of a counsel, oldest first.
        #[derive(Serialize, ToSchema)]
        #[serde(rename_all = "camelCase")]
        pub(crate) struct $messages {
            counsel_messages: Vec<$message>,
            /// The start of the next page; absent on the last one.
            next: Option<String>,
            /// The cursor of the page before; absent on the first one.
            previous: Option<String>,
        }
        impl From<rpc::FindMessagesResponse> for $messages {
            fn from(found: rpc::FindMessagesResponse) -> Self {
                let (next, previous) = (found.next, found.previous);
                $messages { counsel_messages: each(found.counsel_messages), next, previous }
            }
        }
        /// A message and its reply.
        #[derive(Serialize, ToSchema)]
        #[serde(rename_all = "camelCase")]
        pub(crate) struct $exchange {
            created_counsel_message: $message,
            counselor_response_message: $message,
            /// Where to find help, when the message spoke of a danger to somebody.
            crisis: Option<CrisisNotice>,
        }
        impl TryFrom<rpc::CreateMessageResponse> for $exchange {
            type Error = Error;
            fn try_from(sent: rpc::CreateMessageResponse) -> Result<Self, Error> {
                Ok($exchange {
                    created_counsel_message: changed(sent.created_counsel_message)?,
                    counselor_response_message: changed(sent.counselor_response_message)?,
                    crisis: sent.crisis.map(CrisisNotice::from),
                })
            }
        }
    };
}
conversations!(CounselMessage: Opened, Messages, Exchange);
conversations!(AdminCounselMessage: AdminOpened, AdminMessages, AdminExchange);
