//! One gRPC call: who asks, what travels beside it, and what the answer includes.
use crate::domain::counsel::UserId;
use contracts::USER_METADATA;
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
use tonic::{Response, Status, metadata::MetadataMap};
use tracing::Instrument;

/// One call, as read from its headers.
pub(super) struct Call {
    metadata: Metadata,
    user: Option<UserId>,
}
impl Call {
    /// Reads the headers. `hearlers-user` is believed: only the gateway reaches this service.
    pub(super) fn read(headers: &MetadataMap) -> Result<Self, Status> {
        let metadata = grpc::read(headers, SystemTime::now().into())?;
        let user = headers.get(USER_METADATA).map(|it| it.to_str().ok().and_then(|it| it.parse().ok()));
        let user = user.map(|it: Option<UserId>| it.ok_or_else(|| nobody("cannot be read"))).transpose()?;
        Ok(Call { metadata: Metadata { caller: user.map(|it| it.to_string()), ..metadata }, user })
    }
    /// Who asks, where the request itself names nobody.
    pub(super) fn user(&self) -> Result<UserId, Status> {
        self.user.ok_or_else(|| nobody("is missing"))
    }
    /// Makes sure that nobody asks in the name of another, where the request names a person.
    pub(super) fn acts_for(mut self, user: UserId) -> Result<Self, Status> {
        if self.user.is_some_and(|it| it != user) {
            return Err(Status::permission_denied(format!("{USER_METADATA} and user_id name two people")));
        }
        self.metadata.caller = Some(user.to_string());
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

fn nobody(why: &str) -> Status {
    Status::unauthenticated(format!("the metadata {USER_METADATA} {why}"))
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
