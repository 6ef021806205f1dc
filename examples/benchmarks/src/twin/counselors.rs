//! The counsellors of the twin, with the one list that is measured.
use super::{
    service::failed,
    time::{Timestamp, iso},
};
use contracts::v1::{
    model::Counselor,
    service::{
        FindBubbleByIdRequest, FindBubbleByIdResponse, FindBubblesRequest, FindBubblesResponse,
        FindCounselorByIdRequest, FindCounselorByIdResponse, FindCounselorsRequest, FindCounselorsResponse,
        FindRandomBubbleRequest, FindRandomBubbleResponse, FindToneByIdRequest, FindToneByIdResponse, FindTonesRequest,
        FindTonesResponse, counselor_service_server::CounselorService,
    },
};
use sqlx::PgPool;
use tonic::{Request, Response, Status};
use uuid::Uuid;

pub(super) struct Counselors(pub(super) PgPool);

/// Refuses a method of the contract that no measured operation calls.
fn not_measured<T>() -> Result<Response<T>, Status> {
    Err(Status::unimplemented("the twin has only what is measured"))
}

#[tonic::async_trait]
impl CounselorService for Counselors {
    async fn find_counselors(
        &self,
        _: Request<FindCounselorsRequest>,
    ) -> Result<Response<FindCounselorsResponse>, Status> {
        let rows: Vec<(Uuid, String, String, Timestamp)> =
            sqlx::query_as("select id, name, description, created_at from counselors order by created_at")
                .fetch_all(&self.0)
                .await
                .map_err(failed)?;
        let counselor = |(id, name, description, at): (Uuid, String, String, Timestamp)| Counselor {
            id: id.to_string(),
            name,
            description,
            created_at: iso(at),
            updated_at: iso(at),
            ..Counselor::default()
        };
        let counselors = rows.into_iter().map(counselor).collect();
        Ok(Response::new(FindCounselorsResponse { counselors, next: None }))
    }
    async fn find_counselor_by_id(
        &self,
        _: Request<FindCounselorByIdRequest>,
    ) -> Result<Response<FindCounselorByIdResponse>, Status> {
        not_measured()
    }
    async fn find_bubbles(&self, _: Request<FindBubblesRequest>) -> Result<Response<FindBubblesResponse>, Status> {
        not_measured()
    }
    async fn find_bubble_by_id(
        &self,
        _: Request<FindBubbleByIdRequest>,
    ) -> Result<Response<FindBubbleByIdResponse>, Status> {
        not_measured()
    }
    async fn find_random_bubble(
        &self,
        _: Request<FindRandomBubbleRequest>,
    ) -> Result<Response<FindRandomBubbleResponse>, Status> {
        not_measured()
    }
    async fn find_tones(&self, _: Request<FindTonesRequest>) -> Result<Response<FindTonesResponse>, Status> {
        not_measured()
    }
    async fn find_tone_by_id(&self, _: Request<FindToneByIdRequest>) -> Result<Response<FindToneByIdResponse>, Status> {
        not_measured()
    }
}
