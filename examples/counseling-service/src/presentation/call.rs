//! One gRPC call: the caller, the request metadata, and the consistency token of the response.
use crate::domain::counsel::UserId;
use cqrs_core::{
    App, Metadata, Position,
    app::WithMetadata,
    environment::{Environment, SystemEnvironment},
    grpc,
};
use service_auth::{Identity, Refused};
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};
use tonic::{Request, Response, Status};
use tracing::Instrument;

/// One call, as read from its headers.
pub(super) struct Call {
    metadata: Metadata,
    user: Option<UserId>,
}
impl Call {
    /// Reads the headers. The caller is the identity that the auth interceptor has verified.
    pub(super) fn read<T>(request: &Request<T>) -> Result<Self, Status> {
        let metadata = grpc::read(request.metadata(), SystemTime::now().into())?;
        let user = Identity::of(request).and_then(|identity| identity.person).map(|person| UserId::from(person.id));
        Ok(Call { metadata: Metadata { caller: user.map(|user| user.to_string()), ..metadata }, user })
    }
    /// Returns the person on whose behalf the call is made. Fails when the call names no person.
    pub(super) fn user(&self) -> Result<UserId, Status> {
        Ok(self.user.ok_or(Refused::Missing)?)
    }
    /// Checks that the person in the request is the caller.
    pub(super) fn acts_for(self, user: UserId) -> Result<Self, Status> {
        if self.user()? != user {
            return Err(Status::permission_denied("user_id names somebody else"));
        }
        Ok(self)
    }
    /// Returns the app for a single command or query.
    pub(super) fn one(self, app: &App) -> WithMetadata {
        app.with(self.metadata)
    }
    /// Returns the app for a process. The exchange id identifies the process, so the idempotency key is dropped: a
    /// stored
    /// response would not show later progress. The deadline is dropped too, because the process runs to completion.
    pub(super) fn process(self, app: &App) -> WithMetadata {
        app.with(Metadata { key: None, deadline: None, ..self.metadata })
    }
}

/// Runs a process to completion, even when the caller disconnects.
pub(super) async fn run_to_completion<T: Send + 'static>(
    process: impl Future<Output = T> + Send + 'static,
) -> Result<T, Status> {
    let end = Arc::new(Mutex::new(None));
    let keep = end.clone();
    let process = async move {
        let result = process.await;
        *keep.lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
    };
    SystemEnvironment.spawn(Box::pin(process.instrument(tracing::Span::current()))).ended().await;
    let end = end.lock().unwrap_or_else(PoisonError::into_inner).take();
    end.ok_or_else(|| Status::internal("internal error"))
}

/// Builds a response with the consistency token for read-your-writes.
pub(super) fn respond<T>(app: &App, message: T, position: Option<Position>) -> Response<T> {
    let mut response = Response::new(message);
    let token = app.token(position);
    grpc::write(&Metadata::default().token(token), response.metadata_mut());
    response
}
