//! The gRPC service: each method parses the request, sends it and converts the output.
use super::{
    BadRequest,
    call::{Call, metadata},
    requests::Concerns,
};
use crate::application::{
    commands::{ReserveTokens, UpdateUser},
    processes::first_visit,
    queries::{CheckRemainingTokens, FindUserByUserId},
};
use contracts::v1::service::{
    CheckRemainingTokensRequest, CheckRemainingTokensResponse, FindUserByUserIdRequest, FindUserByUserIdResponse,
    InitializeUserRequest, InitializeUserResponse, ReserveTokensRequest, ReserveTokensResponse, UpdateUserRequest,
    UpdateUserResponse,
    user_service_server::{UserService, UserServiceServer},
};
use cqrs_core::{App, Committed, Dispatch, DomainError, Handled, Metadata, Position, grpc};
use service_auth::limits::LARGEST_REQUEST;
use tonic::{Request, Response, Status, metadata::MetadataValue};

/// Builds the service for tonic.
pub fn server(app: App) -> UserServiceServer<impl UserService> {
    UserServiceServer::new(Grpc { app }).max_decoding_message_size(LARGEST_REQUEST)
}

struct Grpc {
    app: App,
}

#[tonic::async_trait]
impl UserService for Grpc {
    async fn initialize_user(
        &self,
        request: Request<InitializeUserRequest>,
    ) -> Result<Response<InitializeUserResponse>, Status> {
        // Without an idempotency key: a caller who repeated it would get the identity of that person.
        let metadata = Metadata { key: None, ..metadata(&request)? };
        let Committed { output: initialized, position } = first_visit(&self.app.with(metadata)).await?;
        Ok(self.respond(initialized.into(), position))
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
    /// Parses the request, sends it on behalf of the caller and converts the output. Only the person concerned may
    /// call.
    async fn send<M, R, T>(&self, request: Request<M>) -> Result<Response<T>, Status>
    where
        R: Handled + Concerns + TryFrom<M, Error = BadRequest>,
        R::Sent: Dispatch<R>,
        <R as Handled>::Error: DomainError,
        R::Output: Into<T>,
    {
        let call = Call::read(&request)?;
        let request = R::try_from(request.into_inner()).map_err(|bad| grpc::status_of(&bad))?;
        let app = self.app.with(call.acts_for(request.user())?);
        let Committed { output, position } = app.send_committed(request).await?;
        Ok(self.respond(output.into(), position))
    }

    /// Builds a response with the consistency token for read-your-writes.
    fn respond<T>(&self, message: T, position: Option<Position>) -> Response<T> {
        let mut response = Response::new(message);
        let token = self.app.token(position);
        if let (false, Ok(token)) = (token.is_empty(), MetadataValue::try_from(token.to_string())) {
            response.metadata_mut().insert(grpc::header::CONSISTENCY_TOKEN, token);
        }
        response
    }
}
