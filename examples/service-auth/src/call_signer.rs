//! The client side: adds the person to a call and signs it.
use crate::{Identity, Person, Proof, token::Signer};
use contracts::{AUTHORITY_METADATA, TOKEN_METADATA, USER_METADATA};
use std::sync::Arc;
use tonic::{
    Request, Status,
    metadata::{Ascii, MetadataMap, MetadataValue},
    service::Interceptor,
};

/// A client interceptor that adds the [`Person`] in the request's extensions to the metadata, and signs the call. It
/// replaces any
/// identity metadata of the request.
#[derive(Clone)]
pub struct CallSigner(Option<Arc<Signer>>);
impl CallSigner {
    /// Creates the signer of calls from `caller` to `audience`. With certificates as the only proof, calls are not
    /// signed.
    pub fn new(caller: &'static str, audience: &'static str, proof: &Proof) -> Self {
        CallSigner(proof.keys().map(|keys| Arc::new(Signer::new(keys, caller, audience))))
    }
}
impl Interceptor for CallSigner {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        // A service that calls another service acts for the same person.
        let person = request.extensions().get::<Person>().copied();
        let person = person.or_else(|| Identity::of(&request).and_then(|identity| identity.person));
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

/// Sets a header. The transport does not log the values of sensitive headers.
fn put(headers: &mut MetadataMap, name: &'static str, value: &str, sensitive: bool) -> Result<(), Status> {
    let value = value.parse::<MetadataValue<Ascii>>();
    let mut value = value.map_err(|_| Status::internal(format!("{name} cannot be written")))?;
    value.set_sensitive(sensitive);
    headers.insert(name, value);
    Ok(())
}
