//! The JSON of consents.
use super::{
    names::ConsentKind,
    shown::{answers, shown},
};
use contracts::v1::service as rpc;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

shown! {
    /// A person's consent to the processing of what they write.
    Consent of Consent {
        kind: Option<ConsentKind>,
        /// The version of the text that the person read.
        text_version: String,
        given_at: String,
        withdrawn_at: Option<String>,
    }
}
answers! { OneConsent { consent: Consent of model::Consent } }

/// The current consent of each kind that was ever given.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Consents {
    pub(crate) consents: Vec<Consent>,
    /// The current version of the text. Only a consent to it counts.
    pub(crate) text_version: &'static str,
}

#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct NewConsent {
    kind: ConsentKind,
    /// The version of the text that the person read.
    #[schema(min_length = 1)]
    text_version: String,
    /// `YYYY-MM-DD`. People under 14 are refused.
    #[schema(format = Date)]
    birthday: String,
}
impl From<NewConsent> for rpc::GiveConsentRequest {
    fn from(new: NewConsent) -> Self {
        rpc::GiveConsentRequest { kind: new.kind.into(), text_version: new.text_version, birthday: new.birthday }
    }
}
