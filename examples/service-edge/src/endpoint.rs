//! The app behind a gRPC service: each method sends a command or a query and responds with its output.
use crate::Call;
use cqrs_core::{App, Committed, Dispatch, DomainError, Handled, Metadata, Position, grpc};
use tonic::{Response, Status};

/// The return type of a gRPC method.
pub type RpcResult<T> = Result<Response<T>, Status>;

/// An app behind a gRPC service.
#[derive(Clone)]
pub struct Endpoint(App);
impl Endpoint {
    /// Creates the endpoint of an app.
    pub fn new(app: &App) -> Self {
        Endpoint(app.clone())
    }
    /// Returns the app, for methods that run a process.
    pub fn app(&self) -> &App {
        &self.0
    }
    /// Sends one command or query on behalf of the caller; `respond` makes the message of the response from its output.
    ///
    /// # Errors
    /// Fails when the handler fails.
    pub async fn send<R, T>(&self, call: Call, request: R, respond: impl FnOnce(R::Output) -> T) -> RpcResult<T>
    where
        R: Handled<Error: DomainError>,
        R::Sent: Dispatch<R>,
    {
        let Committed { output, position } = call.single(&self.0).send_committed(request).await?;
        Ok(self.respond(respond(output), position))
    }
    /// Builds a response with the consistency token for read-your-writes.
    pub fn respond<T>(&self, message: T, position: Option<Position>) -> Response<T> {
        let mut response = Response::new(message);
        grpc::write(&Metadata::default().token(self.0.token(position)), response.metadata_mut());
        response
    }
}
