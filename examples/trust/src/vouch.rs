//! The side that calls: says for whom, and proves it.
use crate::{Identity, Person, Proof, token::Signer};
use contracts::{AUTHORITY_METADATA, TOKEN_METADATA, USER_METADATA};
use std::sync::Arc;
use tonic::{
    Request, Status,
    metadata::{Ascii, MetadataMap, MetadataValue},
    service::Interceptor,
};

/// An interceptor for a client: it says for whom a call is made, by the [`Person`] in the request's extensions, and signs that.
/// What the request's metadata said of it before is gone.
#[derive(Clone)]
pub struct Vouch(Option<Arc<Signer>>);
impl Vouch {
    /// Calls `audience` as `caller`. Where certificates alone are the proof, nothing is signed.
    pub fn new(caller: &'static str, audience: &'static str, proof: &Proof) -> Self {
        Vouch(proof.key().map(|key| Arc::new(Signer::new(key, caller, audience))))
    }
}
impl Interceptor for Vouch {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        // A service that asks another goes on for the same person.
        let person = request.extensions().get::<Person>().copied();
        let person = person.or_else(|| Identity::of(&request).and_then(|it| it.person));
        let headers = request.metadata_mut();
        for name in [USER_METADATA, AUTHORITY_METADATA, TOKEN_METADATA] {
            headers.remove(name);
        }
        if let Some(Person { id, authority }) = person {
            put(headers, USER_METADATA, &id.to_string(), false)?;
            put(headers, AUTHORITY_METADATA, authority.as_str_name(), false)?;
        }
        if let Some(signer) = &self.0 {
            let token = signer.sign(person).ok_or_else(|| Status::internal("the call cannot be signed"))?;
            put(headers, TOKEN_METADATA, &token, true)?;
        }
        Ok(request)
    }
}

/// What is sensitive shows itself in no log of the transport.
fn put(headers: &mut MetadataMap, name: &'static str, value: &str, sensitive: bool) -> Result<(), Status> {
    let value = value.parse::<MetadataValue<Ascii>>();
    let mut value = value.map_err(|_| Status::internal(format!("{name} cannot be written")))?;
    value.set_sensitive(sensitive);
    headers.insert(name, value);
    Ok(())
}
