//! Calls to the counseling service: counsellors, bubbles and tones.
use super::{SignedChannel, ask};
use crate::{
    error::Error,
    extract::{Call, Page},
};
use contracts::v1::{
    model::{Bubble, Counselor, Tone},
    service::{
        FindBubbleByIdRequest, FindBubblesRequest, FindBubblesResponse, FindCounselorByIdRequest,
        FindCounselorsRequest, FindCounselorsResponse, FindRandomBubbleRequest, FindToneByIdRequest, FindTonesRequest,
        FindTonesResponse, counselor_service_client::CounselorServiceClient,
    },
};
use std::time::Duration;
use uuid::Uuid;

#[derive(Clone)]
pub(crate) struct Counselors {
    pub(super) client: CounselorServiceClient<SignedChannel>,
    pub(super) deadline: Duration,
}
impl Counselors {
    pub(crate) async fn list(
        &self,
        call: &Call,
        tone_id: Option<String>,
        page: Page,
    ) -> Result<FindCounselorsResponse, Error> {
        let mut client = self.client.clone();
        let message = FindCounselorsRequest { tone_id, after: page.after, limit: page.limit };
        ask(call, self.deadline, message, |request| async move { client.find_counselors(request).await }).await
    }
    pub(crate) async fn find(&self, call: &Call, counselor: Uuid) -> Result<Counselor, Error> {
        let mut client = self.client.clone();
        let message = FindCounselorByIdRequest { counselor_id: counselor.to_string() };
        let found =
            ask(call, self.deadline, message, |request| async move { client.find_counselor_by_id(request).await });
        found.await?.counselor.ok_or_else(Error::unknown_id)
    }
    pub(crate) async fn bubbles(&self, call: &Call, counselor: Uuid, page: Page) -> Result<FindBubblesResponse, Error> {
        let mut client = self.client.clone();
        let message = FindBubblesRequest { counselor_id: counselor.to_string(), after: page.after, limit: page.limit };
        ask(call, self.deadline, message, |request| async move { client.find_bubbles(request).await }).await
    }
    pub(crate) async fn random_bubble(&self, call: &Call, counselor: Uuid) -> Result<Bubble, Error> {
        let mut client = self.client.clone();
        let message = FindRandomBubbleRequest { counselor_id: counselor.to_string() };
        let found =
            ask(call, self.deadline, message, |request| async move { client.find_random_bubble(request).await });
        found.await?.bubble.ok_or_else(Error::unknown_id)
    }
    pub(crate) async fn bubble(&self, call: &Call, counselor: Uuid, bubble: Uuid) -> Result<Bubble, Error> {
        let mut client = self.client.clone();
        let message = FindBubbleByIdRequest { bubble_id: bubble.to_string(), counselor_id: counselor.to_string() };
        let found = ask(call, self.deadline, message, |request| async move { client.find_bubble_by_id(request).await });
        found.await?.bubble.ok_or_else(Error::unknown_id)
    }
    pub(crate) async fn tones(
        &self,
        call: &Call,
        name: Option<String>,
        page: Page,
    ) -> Result<FindTonesResponse, Error> {
        let mut client = self.client.clone();
        let message = FindTonesRequest { name, after: page.after, limit: page.limit };
        ask(call, self.deadline, message, |request| async move { client.find_tones(request).await }).await
    }
    pub(crate) async fn tone(&self, call: &Call, tone: Uuid) -> Result<Tone, Error> {
        let mut client = self.client.clone();
        let message = FindToneByIdRequest { tone_id: tone.to_string() };
        let found = ask(call, self.deadline, message, |request| async move { client.find_tone_by_id(request).await });
        found.await?.tone.ok_or_else(Error::unknown_id)
    }
}
