//! The gRPC service: one method, one `send`, one `into`.
use super::{
    BadRequest,
    call::{Call, metadata},
    requests::Concerns,
};
use crate::application::{
    commands::{ReserveTokens, UpdateUser},
    flows::first_visit,
    queries::{CheckRemainingTokens, FindUserByUserId},
};
use contracts::v1::service::{
    CheckRemainingTokensRequest, CheckRemainingTokensResponse, FindUserByUserIdRequest, FindUserByUserIdResponse,
    InitializeUserRequest, InitializeUserResponse, ReserveTokensRequest, ReserveTokensResponse, UpdateUserRequest,
    UpdateUserResponse,
    user_service_server::{UserService, UserServiceServer},
};
use cqrs_core::{Dispatch, DomainError, Handled, Metadata, Position, Running, grpc};
use tonic::{Request, Response, Status, metadata::MetadataValue};
use trust::limits::LARGEST_REQUEST;

/// The service as tonic takes it.
pub fn server(app: Running) -> UserServiceServer<impl UserService> {
    UserServiceServer::new(Grpc { app }).max_decoding_message_size(LARGEST_REQUEST)
}

struct Grpc {
    app: Running,
}

#[tonic::async_trait]
impl UserService for Grpc {
    async fn initialize_user(
        &self,
        request: Request<InitializeUserRequest>,
    ) -> Result<Response<InitializeUserResponse>, Status> {
        // Without a key: whoever repeated it would become that person.
        let metadata = Metadata { key: None, ..metadata(&request)? };
        let (initialized, position) = first_visit(&self.app.with(metadata)).await?;
        Ok(self.answer(initialized.into(), position))
    }
    async fn find_user_by_user_id(
        &self,
        request: Request<FindUserByUserIdRequest>,
    ) -> Result<Response<FindUserByUserIdResponse>, Status> {
        self.send::<_, FindUserByUserId, _>(request).await
    }
    async fn update_user(&self, request: Request<UpdateUserRequest>) -> Result<Response<UpdateUserResponse>, Status> {
        self.send::<_, UpdateUser, _>(request).await
    }
    async fn check_remaining_tokens(
        &self,
        request: Request<CheckRemainingTokensRequest>,
    ) -> Result<Response<CheckRemainingTokensResponse>, Status> {
        self.send::<_, CheckRemainingTokens, _>(request).await
    }
    async fn reserve_tokens(
        &self,
        request: Request<ReserveTokensRequest>,
    ) -> Result<Response<ReserveTokensResponse>, Status> {
        self.send::<_, ReserveTokens, _>(request).await
    }
}

impl Grpc {
    /// Parses it, sends it as whoever asks wants it sent, and says it in the contract's words. It is for that person to ask.
    async fn send<M, R, T>(&self, request: Request<M>) -> Result<Response<T>, Status>
    where
        R: Handled + Concerns + TryFrom<M, Error = BadRequest>,
        R::Sent: Dispatch<R>,
        <R as Handled>::Error: DomainError,
        R::Output: Into<T>,
    {
        let call = Call::read(&request)?;
        let request = R::try_from(request.into_inner()).map_err(|bad| grpc::status_of(&bad))?;
        let (output, position) = self.app.with(call.acts_for(request.user())?).send_at(request).await?;
        Ok(self.answer(output.into(), position))
    }

    /// Says where the events lie, so that the next reader can ask to have seen them.
    fn answer<T>(&self, message: T, position: Position) -> Response<T> {
        let mut response = Response::new(message);
        let token = self.app.token(position);
        if let (false, Ok(token)) = (token.is_empty(), MetadataValue::try_from(token.to_string())) {
            response.metadata_mut().insert(grpc::header::POSITION, token);
        }
        response
    }
}
