//! `CounselorService`: the catalogue of counsellors, the same for all callers. Each method is one query.
use super::{
    mapping::{each, text},
    part,
};
use crate::application::queries::{
    FindBubbleById, FindBubbles, FindCounselorById, FindCounselors, FindRandomBubble, FindToneById, FindTones,
};
use contracts::v1::service as rpc;
use cqrs_core::Page;
use service_edge::{
    Call, Endpoint, RpcResult,
    parse::{id, optional_id},
};
use tonic::Request;

pub(super) struct Counselors(pub(super) Endpoint);

#[tonic::async_trait]
impl rpc::counselor_service_server::CounselorService for Counselors {
    async fn find_counselors(
        &self,
        request: Request<rpc::FindCounselorsRequest>,
    ) -> RpcResult<rpc::FindCounselorsResponse> {
        let (call, message) = Call::read(request)?;
        let tone = optional_id("tone_id", message.tone_id.as_deref())?;
        let query = FindCounselors { tone, part: part(message.after.as_deref(), message.limit)? };
        let respond =
            |page: Page<_>| rpc::FindCounselorsResponse { counselors: each(page.items), next: text(page.next) };
        self.0.send(call, query, respond).await
    }
    async fn find_counselor_by_id(
        &self,
        request: Request<rpc::FindCounselorByIdRequest>,
    ) -> RpcResult<rpc::FindCounselorByIdResponse> {
        let (call, message) = Call::read(request)?;
        let query = FindCounselorById { id: id("counselor_id", &message.counselor_id)? };
        self.0.send(call, query, |found| rpc::FindCounselorByIdResponse { counselor: Some(found.into()) }).await
    }
    async fn find_bubbles(&self, request: Request<rpc::FindBubblesRequest>) -> RpcResult<rpc::FindBubblesResponse> {
        let (call, message) = Call::read(request)?;
        let counselor = id("counselor_id", &message.counselor_id)?;
        let query = FindBubbles { counselor, part: part(message.after.as_deref(), message.limit)? };
        let respond = |page: Page<_>| rpc::FindBubblesResponse { bubbles: each(page.items), next: text(page.next) };
        self.0.send(call, query, respond).await
    }
    async fn find_bubble_by_id(
        &self,
        request: Request<rpc::FindBubbleByIdRequest>,
    ) -> RpcResult<rpc::FindBubbleByIdResponse> {
        let (call, message) = Call::read(request)?;
        let counselor = id("counselor_id", &message.counselor_id)?;
        let query = FindBubbleById { id: id("bubble_id", &message.bubble_id)?, counselor };
        self.0.send(call, query, |found| rpc::FindBubbleByIdResponse { bubble: Some(found.into()) }).await
    }
    async fn find_random_bubble(
        &self,
        request: Request<rpc::FindRandomBubbleRequest>,
    ) -> RpcResult<rpc::FindRandomBubbleResponse> {
        let (call, message) = Call::read(request)?;
        let query = FindRandomBubble { counselor: id("counselor_id", &message.counselor_id)? };
        self.0.send(call, query, |found| rpc::FindRandomBubbleResponse { bubble: Some(found.into()) }).await
    }
    async fn find_tones(&self, request: Request<rpc::FindTonesRequest>) -> RpcResult<rpc::FindTonesResponse> {
        let (call, message) = Call::read(request)?;
        let query = FindTones { part: part(message.after.as_deref(), message.limit)?, name: message.name };
        let respond = |page: Page<_>| rpc::FindTonesResponse { tones: each(page.items), next: text(page.next) };
        self.0.send(call, query, respond).await
    }
    async fn find_tone_by_id(
        &self,
        request: Request<rpc::FindToneByIdRequest>,
    ) -> RpcResult<rpc::FindToneByIdResponse> {
        let (call, message) = Call::read(request)?;
        let query = FindToneById { id: id("tone_id", &message.tone_id)? };
        self.0.send(call, query, |found| rpc::FindToneByIdResponse { tone: Some(found.into()) }).await
    }
}
