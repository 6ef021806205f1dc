//! The client side: adds the person to a call and signs it.
use crate::{Identity, Person, Proof, token::Signer};
use contracts::{AUTHORITY_METADATA, TOKEN_METADATA, USER_METADATA};
use std::sync::Arc;
use tonic::{
    GrpcMethod, Request, Status,
    metadata::{Ascii, MetadataMap, MetadataValue},
    service::Interceptor,
};

/// A client interceptor that adds the [`Person`] in the request's extensions to the metadata, and signs the call. It
/// replaces any identity metadata of the request. The token is valid for the one method that is called, which the generated
/// clients put into the request's extensions.
#[derive(Clone)]
pub struct CallSigner(Option<Arc<Signer>>);
impl CallSigner {
    /// Creates the signer of calls from `caller` to `audience`. Without keys calls are not signed: certificates are the proof.
    pub fn new(caller: &'static str, audience: &'static str, proof: &Proof) -> Self {
        CallSigner(proof.call_keys().map(|keys| Arc::new(Signer::new(keys, caller, audience))))
    }
}
impl Interceptor for CallSigner {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        // A service that calls another service acts for the same person.
        let person = request.extensions().get::<Person>().copied();
        let person = person.or_else(|| Identity::of(&request).and_then(|identity| identity.person));
        let method = request.extensions().get::<GrpcMethod<'_>>();
        let method = method.map(|method| format!("/{}/{}", method.service(), method.method()));
        let headers = request.metadata_mut();
        for name in [USER_METADATA, AUTHORITY_METADATA, TOKEN_METADATA] {
            headers.remove(name);
        }
        if let Some(Person { id, authority }) = person {
            put(headers, USER_METADATA, &id.to_string(), false)?;
            put(headers, AUTHORITY_METADATA, authority.as_str_name(), false)?;
        }
        if let Some(signer) = &self.0 {
            let method = method.ok_or_else(|| Status::internal("the call does not name its method"))?;
            let token = signer.sign(method, person).ok_or_else(|| Status::internal("the call cannot be signed"))?;
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
