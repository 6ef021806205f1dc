//! Who calls, and for whom: what a guard found to be true.
use contracts::v1::model::Authority;
use std::sync::Arc;
use tonic::Request;
use uuid::Uuid;

/// A person, and what they may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Person {
    /// Who.
    pub id: Uuid,
    /// What they may do.
    pub authority: Authority,
}
impl Person {
    /// Somebody who may do what everybody may.
    pub fn user(id: Uuid) -> Self {
        Person { id, authority: Authority::User }
    }
}

/// Who calls, and for whom. A [`Guard`](crate::Guard) puts it into the request; it comes from nowhere else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The program that calls: [`GATEWAY`](crate::GATEWAY) or a service.
    pub caller: Arc<str>,
    /// For whom. `None` when it calls for itself, or for somebody who is nobody yet.
    pub person: Option<Person>,
}
impl Identity {
    /// What the guard found. `None` where nobody said who they are, and where no guard stands.
    pub fn of<T>(request: &Request<T>) -> Option<&Identity> {
        request.extensions().get()
    }
}
