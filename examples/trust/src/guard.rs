//! The side that is called: checks who calls and for whom, before any handler sees the request.
use crate::{Identity, Person, Proof, Refused, tls::Callers, token, token::Checker};
use contracts::{AUTHORITY_METADATA, TOKEN_METADATA, USER_METADATA, v1::model::Authority};
use std::sync::Arc;
use tonic::{Request, Status, metadata::MetadataMap, service::Interceptor};

/// An interceptor for a server: it checks the proof, takes identity's metadata away, and puts an [`Identity`] in its place.
///
/// A call without any of that metadata passes without an identity: the first visit is one, and what it may ask is the
/// handler's to say ([`Refused::Missing`]). One that names somebody and proves nothing does not pass.
#[derive(Clone)]
pub struct Guard(Arc<Inner>);
struct Inner {
    checker: Option<Checker>,
    callers: Option<Callers>,
}
impl Guard {
    /// For the service of this name.
    pub fn new(audience: &str, proof: &Proof) -> Self {
        let checker = proof.key().map(|key| Checker::new(key, audience));
        let callers = proof.certificates().map(|it| it.callers().clone());
        Guard(Arc::new(Inner { checker, callers }))
    }

    fn check(&self, request: &Request<()>) -> Result<Option<Identity>, Refused> {
        let certified = match &self.0.callers {
            Some(callers) => Some(callers.who(request.peer_certs().as_deref()).ok_or(Refused::Caller)?),
            None => None,
        };
        let said = Said::read(request.metadata())?;
        let Some(checker) = &self.0.checker else {
            // The certificate is the proof, so what is said beside it is true.
            return Ok(certified.map(|caller| Identity { caller, person: said.person }));
        };
        let Some(token) = said.token else {
            let unsigned = said.person.is_some() || certified.is_some();
            return if unsigned { Err(Refused::NotSigned) } else { Ok(None) };
        };
        let identity = checker.check(token)?;
        let differs = said.person.is_some_and(|it| identity.person != Some(it))
            || certified.is_some_and(|caller| caller != identity.caller);
        if differs { Err(Refused::Mismatch) } else { Ok(Some(identity)) }
    }
}
impl Interceptor for Guard {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        let identity = self.check(&request).inspect_err(|refused| {
            tracing::warn!(%refused, from = ?request.remote_addr(), "a caller is not believed");
        })?;
        for name in [USER_METADATA, AUTHORITY_METADATA, TOKEN_METADATA] {
            request.metadata_mut().remove(name);
        }
        request.extensions_mut().remove::<Identity>();
        if let Some(identity) = identity {
            request.extensions_mut().insert(identity);
        }
        Ok(request)
    }
}

/// What the metadata says, unproven.
struct Said<'a> {
    person: Option<Person>,
    token: Option<&'a str>,
}
impl<'a> Said<'a> {
    fn read(headers: &'a MetadataMap) -> Result<Self, Refused> {
        let text = |name| {
            let mut all = headers.get_all(name).iter();
            let first = all.next().map(|it| it.to_str().map_err(|_| Refused::Unreadable)).transpose()?;
            if all.next().is_some() { Err(Refused::Unreadable) } else { Ok(first) }
        };
        let (user, authority) = (text(USER_METADATA)?, text(AUTHORITY_METADATA)?);
        let token = text(TOKEN_METADATA)?;
        let person = match (user, authority) {
            (None, None) => None,
            (None, Some(_)) => return Err(Refused::Unreadable),
            (Some(user), authority) => Some(Person {
                id: user.parse().map_err(|_| Refused::Unreadable)?,
                // Who says nothing of it may do what everybody may.
                authority: authority.map_or(Some(Authority::User), token::named).ok_or(Refused::Unreadable)?,
            }),
        };
        Ok(Said { person, token })
    }
}
