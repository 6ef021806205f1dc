//! The server side: verifies the caller and the person before a handler sees the request.
use crate::{
    Identity, Person, Proof, Refused,
    guarded::{self, Called},
    security,
    tls::Callers,
    token::{self, Checker},
};
use contracts::{AUTHORITY_METADATA, TOKEN_METADATA, USER_METADATA, v1::model::Authority};
use std::sync::Arc;
use tonic::{Request, Status, metadata::MetadataMap, service::Interceptor};

/// A server interceptor that verifies the proof and replaces the identity metadata with an [`Identity`]. It refuses a call
/// without an identity, and callers that the contract does not allow.
///
/// It must know the called method, which a token names: as an interceptor it works only within [`Guarded`](crate::Guarded).
#[derive(Clone)]
pub struct AuthInterceptor(Arc<Inner>);
struct Inner {
    checker: Option<Checker>,
    callers: Option<Callers>,
}
impl AuthInterceptor {
    /// Creates the interceptor of the service with this name.
    pub fn new(audience: &str, proof: &Proof) -> Self {
        let checker = proof.callers().map(|keys| Checker::new(keys, audience));
        let callers = proof.certificates().map(|certificates| certificates.callers().clone());
        AuthInterceptor(Arc::new(Inner { checker, callers }))
    }

    /// Verifies a call of the method with this path, and returns the request with its [`Identity`] and without the metadata of
    /// the proof.
    ///
    /// # Errors
    /// Fails with the status for the caller.
    pub fn verify(&self, method: &str, mut request: Request<()>) -> Result<Request<()>, Status> {
        let refuse = |refused: Refused, identity: Option<&Identity>| {
            security::refused(method, refused, identity, &request);
            Status::from(refused)
        };
        let identity = self.check(method, &request).and_then(|identity| identity.ok_or(Refused::Missing));
        let identity = identity.map_err(|refused| refuse(refused, None))?;
        guarded::allows(method, &identity).map_err(|refused| refuse(refused, Some(&identity)))?;
        for name in [USER_METADATA, AUTHORITY_METADATA, TOKEN_METADATA] {
            request.metadata_mut().remove(name);
        }
        request.extensions_mut().insert(identity);
        Ok(request)
    }
    fn check(&self, method: &str, request: &Request<()>) -> Result<Option<Identity>, Refused> {
        let certified = match &self.0.callers {
            Some(callers) => Some(callers.name_of(request.peer_certs().as_deref()).ok_or(Refused::Caller)?),
            None => None,
        };
        let claimed = Claimed::read(request.metadata())?;
        let Some(checker) = &self.0.checker else {
            // The certificate is the proof, so the person in the metadata is accepted.
            return Ok(certified.map(|caller| Identity { caller, person: claimed.person }));
        };
        let Some(token) = claimed.token else {
            let unsigned = claimed.person.is_some() || certified.is_some();
            return if unsigned { Err(Refused::NotSigned) } else { Ok(None) };
        };
        let identity = checker.check(token, method)?;
        let differs = claimed.person.is_some_and(|person| identity.person != Some(person))
            || certified.is_some_and(|caller| caller != identity.caller);
        if differs { Err(Refused::Mismatch) } else { Ok(Some(identity)) }
    }
}
impl Interceptor for AuthInterceptor {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        let called = request.extensions_mut().remove::<Called>().ok_or(Refused::Missing)?;
        self.verify(called.path(), request)
    }
}

/// The unverified identity metadata.
struct Claimed<'a> {
    person: Option<Person>,
    token: Option<&'a str>,
}
impl<'a> Claimed<'a> {
    fn read(headers: &'a MetadataMap) -> Result<Self, Refused> {
        let text = |name| {
            let mut all = headers.get_all(name).iter();
            let first = all.next().map(|value| value.to_str().map_err(|_| Refused::Unreadable)).transpose()?;
            if all.next().is_some() { Err(Refused::Unreadable) } else { Ok(first) }
        };
        let (user, authority) = (text(USER_METADATA)?, text(AUTHORITY_METADATA)?);
        let token = text(TOKEN_METADATA)?;
        let person = match (user, authority) {
            (None, None) => None,
            (None, Some(_)) => return Err(Refused::Unreadable),
            (Some(user), authority) => Some(Person {
                id: user.parse().map_err(|_| Refused::Unreadable)?,
                // A person without an authority has the permissions of a user.
                authority: authority.map_or(Some(Authority::User), token::named).ok_or(Refused::Unreadable)?,
            }),
        };
        Ok(Claimed { person, token })
    }
}
