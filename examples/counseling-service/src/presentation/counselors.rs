//! `CounselorService`: who there is to talk to. The same for everybody.
use super::{
    call::Call,
    parse::{id, optional, part},
};
use crate::application::queries::{
    FindBubbleById, FindBubbles, FindCounselorById, FindCounselors, FindRandomBubble, FindToneById, FindTones,
};
use contracts::v1::service::{
    FindBubbleByIdRequest, FindBubbleByIdResponse, FindBubblesRequest, FindBubblesResponse, FindCounselorByIdRequest,
    FindCounselorByIdResponse, FindCounselorsRequest, FindCounselorsResponse, FindRandomBubbleRequest,
    FindRandomBubbleResponse, FindToneByIdRequest, FindToneByIdResponse, FindTonesRequest, FindTonesResponse,
    counselor_service_server::CounselorService,
};
use cqrs_core::Running;
use tonic::{Request, Response, Status};

pub(super) struct Counselors(pub(super) Running);

#[tonic::async_trait]
impl CounselorService for Counselors {
    async fn find_counselors(
        &self,
        request: Request<FindCounselorsRequest>,
    ) -> Result<Response<FindCounselorsResponse>, Status> {
        let app = Call::read(request.metadata())?.one(&self.0);
        let asked = request.get_ref();
        let tone = optional("tone_id", asked.tone_id.as_deref())?;
        let found = app.send(FindCounselors { tone, part: part(asked.after.as_deref(), asked.limit)? }).await?;
        let counselors = found.items.into_iter().map(Into::into).collect();
        Ok(Response::new(FindCounselorsResponse { counselors, next: found.next.map(|it| it.to_string()) }))
    }

    async fn find_counselor_by_id(
        &self,
        request: Request<FindCounselorByIdRequest>,
    ) -> Result<Response<FindCounselorByIdResponse>, Status> {
        let app = Call::read(request.metadata())?.one(&self.0);
        let id = id("counselor_id", &request.get_ref().counselor_id)?;
        let counselor = Some(app.send(FindCounselorById { id }).await?.into());
        Ok(Response::new(FindCounselorByIdResponse { counselor }))
    }

    async fn find_bubbles(
        &self,
        request: Request<FindBubblesRequest>,
    ) -> Result<Response<FindBubblesResponse>, Status> {
        let app = Call::read(request.metadata())?.one(&self.0);
        let asked = request.get_ref();
        let counselor = id("counselor_id", &asked.counselor_id)?;
        let found = app.send(FindBubbles { counselor, part: part(asked.after.as_deref(), asked.limit)? }).await?;
        let bubbles = found.items.into_iter().map(Into::into).collect();
        Ok(Response::new(FindBubblesResponse { bubbles, next: found.next.map(|it| it.to_string()) }))
    }

    async fn find_bubble_by_id(
        &self,
        request: Request<FindBubbleByIdRequest>,
    ) -> Result<Response<FindBubbleByIdResponse>, Status> {
        let app = Call::read(request.metadata())?.one(&self.0);
        let asked = request.get_ref();
        let query = FindBubbleById {
            id: id("bubble_id", &asked.bubble_id)?,
            counselor: id("counselor_id", &asked.counselor_id)?,
        };
        Ok(Response::new(FindBubbleByIdResponse { bubble: Some(app.send(query).await?.into()) }))
    }

    async fn find_random_bubble(
        &self,
        request: Request<FindRandomBubbleRequest>,
    ) -> Result<Response<FindRandomBubbleResponse>, Status> {
        let app = Call::read(request.metadata())?.one(&self.0);
        let counselor = id("counselor_id", &request.get_ref().counselor_id)?;
        let bubble = Some(app.send(FindRandomBubble { counselor }).await?.into());
        Ok(Response::new(FindRandomBubbleResponse { bubble }))
    }

    async fn find_tones(&self, request: Request<FindTonesRequest>) -> Result<Response<FindTonesResponse>, Status> {
        let app = Call::read(request.metadata())?.one(&self.0);
        let asked = request.into_inner();
        let part = part(asked.after.as_deref(), asked.limit)?;
        let found = app.send(FindTones { name: asked.name, part }).await?;
        let tones = found.items.into_iter().map(Into::into).collect();
        Ok(Response::new(FindTonesResponse { tones, next: found.next.map(|it| it.to_string()) }))
    }

    async fn find_tone_by_id(
        &self,
        request: Request<FindToneByIdRequest>,
    ) -> Result<Response<FindToneByIdResponse>, Status> {
        let app = Call::read(request.metadata())?.one(&self.0);
        let id = id("tone_id", &request.get_ref().tone_id)?;
        Ok(Response::new(FindToneByIdResponse { tone: Some(app.send(FindToneById { id }).await?.into()) }))
    }
}
