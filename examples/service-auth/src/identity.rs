//! The verified identity of a call: the calling program and the person.
use contracts::v1::model::Authority;
use std::sync::Arc;
use tonic::Request;
use uuid::Uuid;

/// A person and their permissions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Person {
    pub id: Uuid,
    pub authority: Authority,
}
impl Person {
    /// Creates a person with the permissions of a user.
    pub fn user(id: Uuid) -> Self {
        Person { id, authority: Authority::User }
    }
}

/// The verified identity of a call. Only an [`AuthInterceptor`](crate::AuthInterceptor) puts it into a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The calling program: [`GATEWAY`](crate::GATEWAY) or a service.
    pub caller: Arc<str>,
    /// The person on whose behalf it calls. `None` for a call of its own, or before the person is registered.
    pub person: Option<Person>,
}
impl Identity {
    /// Returns the verified identity. `None` without identity metadata, or without an interceptor.
    pub fn of<T>(request: &Request<T>) -> Option<&Identity> {
        request.extensions().get()
    }
}
