//! One gRPC call: the caller and the request metadata.
use crate::{Rejection, parse};
use contracts::{LANGUAGE_METADATA, v1::model::Authority};
use cqrs_core::{
    App, Metadata,
    app::WithMetadata,
    environment::{Environment, SystemEnvironment},
    grpc,
};
use service_auth::{Identity, Person, Refused};
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};
use tonic::{Request, Status};
use tracing::Instrument;
use uuid::Uuid;

/// One call, as read from its headers: person, language, idempotency key, deadline, consistency token and trace.
pub struct Call {
    metadata: Metadata,
    person: Option<Person>,
    prefers_english: bool,
}
impl Call {
    /// Reads the headers of a request and returns the call with its message. The caller is the person that the auth
    /// interceptor has verified.
    ///
    /// # Errors
    /// Fails with the name of the header that cannot be read.
    pub fn read<M>(request: Request<M>) -> Result<(Self, M), Status> {
        let metadata = grpc::read(request.metadata(), SystemTime::now().into())?;
        let person = Identity::of(&request).and_then(|identity| identity.person);
        let metadata = Metadata { caller: person.map(|person| person.id.to_string()), ..metadata };
        let prefers_english = request.metadata().get(LANGUAGE_METADATA).is_some_and(|language| language == "en");
        Ok((Call { metadata, person, prefers_english }, request.into_inner()))
    }
    /// Returns the person on whose behalf the call is made.
    ///
    /// # Errors
    /// Fails when the call names no person.
    pub fn person<Id: From<Uuid>>(&self) -> Result<Id, Rejection> {
        Ok(self.person.ok_or(Refused::Missing)?.id.into())
    }
    /// Returns whether the call is made on behalf of an administrator.
    pub fn is_admin(&self) -> bool {
        self.person.is_some_and(|person| person.authority == Authority::Admin)
    }
    /// Returns whether the person reads English. Korean is the default.
    pub fn prefers_english(&self) -> bool {
        self.prefers_english
    }
    /// Returns the person in the field `user_id`, who must be the caller.
    ///
    /// # Errors
    /// Fails when the call names no person, when the text is not an id, and when it is another person's.
    pub fn acts_for<Id: From<Uuid>>(&self, user_id: &str) -> Result<Id, Rejection> {
        let person: Uuid = self.person()?;
        if parse::id::<Uuid>("user_id", user_id)? != person {
            return Err(Rejection::from_status(Status::permission_denied("user_id names somebody else")));
        }
        Ok(person.into())
    }
    /// Returns the person in the field `user_id`: the caller, or anybody when the caller is an administrator.
    ///
    /// # Errors
    /// Fails as [`acts_for`](Call::acts_for) does, for a caller without the authority.
    pub fn acts_for_or_administers<Id: From<Uuid>>(&self, user_id: &str) -> Result<Id, Rejection> {
        match self.person {
            Some(person) if person.authority == Authority::Admin => Ok(parse::id::<Uuid>("user_id", user_id)?.into()),
            _ => self.acts_for(user_id),
        }
    }
    /// Returns the app for a single command or query.
    pub fn single(self, app: &App) -> WithMetadata {
        app.with(self.metadata)
    }
    /// Returns the app for a command that must not be identified by the caller's idempotency key.
    pub fn without_key(self, app: &App) -> WithMetadata {
        app.with(Metadata { key: None, ..self.metadata })
    }
    /// Returns the app for a process of several commands. The process has an id of its own, so the idempotency key is
    /// dropped: a stored response would not show later progress. The deadline is dropped too, because the process runs
    /// to completion.
    pub fn process(self, app: &App) -> WithMetadata {
        app.with(Metadata { key: None, deadline: None, ..self.metadata })
    }
}

/// Runs a process to completion, even when the caller disconnects.
///
/// # Errors
/// Fails with INTERNAL when the process panics.
pub async fn run_to_completion<T: Send + 'static>(
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
