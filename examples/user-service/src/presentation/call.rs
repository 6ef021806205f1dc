//! One gRPC call: the caller and the request metadata.
use crate::domain::user::UserId;
use cqrs_core::{Metadata, grpc};
use service_auth::{Identity, Refused};
use std::time::SystemTime;
use tonic::{Request, Status};

/// Reads the metadata of a request that concerns no person yet.
pub(super) fn metadata<M>(request: &Request<M>) -> Result<Metadata, Status> {
    grpc::read(request.metadata(), SystemTime::now().into())
}

/// One call on behalf of a person.
pub(super) struct Call {
    metadata: Metadata,
    user: UserId,
}
impl Call {
    /// Reads the headers. Fails when the call has no authenticated person.
    pub(super) fn read<M>(request: &Request<M>) -> Result<Self, Status> {
        let person = Identity::of(request).and_then(|identity| identity.person).ok_or(Refused::Missing)?;
        Ok(Call { metadata: metadata(request)?, user: person.id.into() })
    }
    /// Returns the metadata of a request that concerns this person. Fails when the caller is another person.
    pub(super) fn acts_for(self, user: UserId) -> Result<Metadata, Status> {
        if self.user != user {
            return Err(Status::permission_denied("user_id names somebody else"));
        }
        Ok(self.metadata.caller(user.to_string()))
    }
}
