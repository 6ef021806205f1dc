//! One gRPC call: who asks, and what travels beside it.
use crate::domain::user::UserId;
use cqrs_core::{Metadata, grpc};
use std::time::SystemTime;
use tonic::{Request, Status};
use trust::{Identity, Refused};

/// What travels beside a request that concerns nobody yet.
pub(super) fn metadata<M>(request: &Request<M>) -> Result<Metadata, Status> {
    grpc::read(request.metadata(), SystemTime::now().into())
}

/// One call on behalf of a person.
pub(super) struct Call {
    metadata: Metadata,
    user: UserId,
}
impl Call {
    /// Whoever asks must have proven for whom.
    pub(super) fn read<M>(request: &Request<M>) -> Result<Self, Status> {
        let person = Identity::of(request).and_then(|it| it.person).ok_or(Refused::Missing)?;
        Ok(Call { metadata: metadata(request)?, user: person.id.into() })
    }
    /// What travels beside a request that concerns this person: nobody asks in the name of another.
    pub(super) fn acts_for(self, user: UserId) -> Result<Metadata, Status> {
        if self.user != user {
            return Err(Status::permission_denied("user_id names somebody else"));
        }
        Ok(self.metadata.caller(user.to_string()))
    }
}
