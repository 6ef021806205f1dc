//! `CounselorService`: the catalogue of counsellors, the same for all callers. Each method is one query.
use super::{call::Call, parse::BadRequest};
use crate::application::queries::{
    FindBubbleById, FindBubbles, FindCounselorById, FindCounselors, FindRandomBubble, FindToneById, FindTones,
};
use contracts::v1::service::{
    FindBubbleByIdRequest, FindBubbleByIdResponse, FindBubblesRequest, FindBubblesResponse, FindCounselorByIdRequest,
    FindCounselorByIdResponse, FindCounselorsRequest, FindCounselorsResponse, FindRandomBubbleRequest,
    FindRandomBubbleResponse, FindToneByIdRequest, FindToneByIdResponse, FindTonesRequest, FindTonesResponse,
    counselor_service_server::CounselorService,
};
use cqrs_core::{App, Dispatch, DomainError, Handled};
use tonic::{Request, Response, Status};

pub(super) struct Counselors(pub(super) App);

impl Counselors {
    /// Parses the request and sends the query.
    async fn ask<M, Q>(&self, request: Request<M>) -> Result<Q::Output, Status>
    where
        Q: Handled<Error: DomainError> + TryFrom<M, Error = BadRequest>,
        Q::Sent: Dispatch<Q>,
    {
        let app = Call::read(&request)?.one(&self.0);
        let query = Q::try_from(request.into_inner())?;
        Ok(app.send(query).await?)
    }
}

#[tonic::async_trait]
impl CounselorService for Counselors {
    async fn find_counselors(
        &self,
        request: Request<FindCounselorsRequest>,
    ) -> Result<Response<FindCounselorsResponse>, Status> {
        let found = self.ask::<_, FindCounselors>(request).await?;
        let counselors = found.items.into_iter().map(Into::into).collect();
        Ok(Response::new(FindCounselorsResponse { counselors, next: found.next.map(|cursor| cursor.to_string()) }))
    }
    async fn find_counselor_by_id(
        &self,
        request: Request<FindCounselorByIdRequest>,
    ) -> Result<Response<FindCounselorByIdResponse>, Status> {
        let counselor = Some(self.ask::<_, FindCounselorById>(request).await?.into());
        Ok(Response::new(FindCounselorByIdResponse { counselor }))
    }
    async fn find_bubbles(
        &self,
        request: Request<FindBubblesRequest>,
    ) -> Result<Response<FindBubblesResponse>, Status> {
        let found = self.ask::<_, FindBubbles>(request).await?;
        let bubbles = found.items.into_iter().map(Into::into).collect();
        Ok(Response::new(FindBubblesResponse { bubbles, next: found.next.map(|cursor| cursor.to_string()) }))
    }
    async fn find_bubble_by_id(
        &self,
        request: Request<FindBubbleByIdRequest>,
    ) -> Result<Response<FindBubbleByIdResponse>, Status> {
        let bubble = Some(self.ask::<_, FindBubbleById>(request).await?.into());
        Ok(Response::new(FindBubbleByIdResponse { bubble }))
    }
    async fn find_random_bubble(
        &self,
        request: Request<FindRandomBubbleRequest>,
    ) -> Result<Response<FindRandomBubbleResponse>, Status> {
        let bubble = Some(self.ask::<_, FindRandomBubble>(request).await?.into());
        Ok(Response::new(FindRandomBubbleResponse { bubble }))
    }
    async fn find_tones(&self, request: Request<FindTonesRequest>) -> Result<Response<FindTonesResponse>, Status> {
        let found = self.ask::<_, FindTones>(request).await?;
        let tones = found.items.into_iter().map(Into::into).collect();
        Ok(Response::new(FindTonesResponse { tones, next: found.next.map(|cursor| cursor.to_string()) }))
    }
    async fn find_tone_by_id(
        &self,
        request: Request<FindToneByIdRequest>,
    ) -> Result<Response<FindToneByIdResponse>, Status> {
        let tone = Some(self.ask::<_, FindToneById>(request).await?.into());
        Ok(Response::new(FindToneByIdResponse { tone }))
    }
}
