//! One gRPC call: who asks, what travels beside it, and what the answer includes.
use crate::domain::counsel::UserId;
use cqrs_core::{
    Metadata, Position, Running,
    app::With,
    grpc,
    world::{Machine, World},
};
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};
use tonic::{Request, Response, Status};
use tracing::Instrument;
use trust::{Identity, Refused};

/// One call, as read from its headers.
pub(super) struct Call {
    metadata: Metadata,
    user: Option<UserId>,
}
impl Call {
    /// Reads the headers. Who asks is what the guard in front of the service found to be true.
    pub(super) fn read<T>(request: &Request<T>) -> Result<Self, Status> {
        let metadata = grpc::read(request.metadata(), SystemTime::now().into())?;
        let user = Identity::of(request).and_then(|it| it.person).map(|it| UserId::from(it.id));
        Ok(Call { metadata: Metadata { caller: user.map(|it| it.to_string()), ..metadata }, user })
    }
    /// Who asks, where it concerns a person.
    pub(super) fn user(&self) -> Result<UserId, Status> {
        Ok(self.user.ok_or(Refused::Missing)?)
    }
    /// Makes sure that nobody asks in the name of another, where the request names a person.
    pub(super) fn acts_for(self, user: UserId) -> Result<Self, Status> {
        if self.user()? != user {
            return Err(Status::permission_denied("user_id names somebody else"));
        }
        Ok(self)
    }
    /// For one command or query.
    pub(super) fn one(self, app: &Running) -> With {
        app.with(self.metadata)
    }
    /// For a flow. Its exchange id makes it the same flow each time: a stored answer would not know how far it is since. And it
    /// goes on when nobody waits any more.
    pub(super) fn flow(self, app: &Running) -> With {
        app.with(Metadata { key: None, deadline: None, ..self.metadata })
    }
}

/// Runs a flow to its end, whether or not the caller hangs up.
pub(super) async fn to_its_end<T: Send + 'static>(flow: impl Future<Output = T> + Send + 'static) -> Result<T, Status> {
    let end = Arc::new(Mutex::new(None));
    let keep = end.clone();
    let flow = async move {
        let result = flow.await;
        *keep.lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
    };
    Machine.spawn(Box::pin(flow.instrument(tracing::Span::current()))).ended().await;
    let end = end.lock().unwrap_or_else(PoisonError::into_inner).take();
    end.ok_or_else(|| Status::internal("internal error"))
}

/// An answer, with what a reader must have seen to see what it tells.
pub(super) fn answer<T>(app: &Running, message: T, position: Position) -> Response<T> {
    let mut response = Response::new(message);
    let token = app.token(position);
    grpc::write(&Metadata::default().token(token), response.metadata_mut());
    response
}
