//! Authentication between gateway and service: each call carries a signed token with the id of the person.
use chrono::Utc;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use tonic::{Request, Status, service::Interceptor};
use uuid::Uuid;

const METADATA: &str = "twin-token";
const ISSUER: &str = "twin-gateway";
const AUDIENCE: &str = "twin-service";
const LIFETIME: i64 = 60;

#[derive(Serialize, Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sub: Option<Uuid>,
    iat: i64,
    exp: i64,
}

/// The verified person of a call. A first visit has none.
#[derive(Debug, Clone, Copy)]
pub(super) struct Person(pub(super) Uuid);

/// Signs the calls of a client, for the [`Person`] in the request's extensions.
#[derive(Clone)]
pub(super) struct Signer(Arc<EncodingKey>);
impl Signer {
    pub(super) fn new(secret: &str) -> Self {
        Signer(Arc::new(EncodingKey::from_secret(secret.as_bytes())))
    }
}
impl Interceptor for Signer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        let sub = request.extensions().get::<Person>().map(|person| person.0);
        let now = Utc::now().timestamp();
        let claims = Claims { iss: ISSUER.to_owned(), aud: AUDIENCE.to_owned(), sub, iat: now, exp: now + LIFETIME };
        let token = jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &self.0);
        let token = token.ok().and_then(|token| token.parse().ok());
        let token = token.ok_or_else(|| Status::internal("the call cannot be signed"))?;
        request.metadata_mut().insert(METADATA, token);
        Ok(request)
    }
}

/// Checks the calls to a server, and puts the person into the request's extensions.
#[derive(Clone)]
pub(super) struct Checker(Arc<(DecodingKey, Validation)>);
impl Checker {
    pub(super) fn new(secret: &str) -> Self {
        let mut rules = Validation::new(Algorithm::HS256);
        rules.set_issuer(&[ISSUER]);
        rules.set_audience(&[AUDIENCE]);
        Checker(Arc::new((DecodingKey::from_secret(secret.as_bytes()), rules)))
    }
}
impl Interceptor for Checker {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        let token = request.metadata().get(METADATA).and_then(|token| token.to_str().ok());
        let checked = token.and_then(|token| jsonwebtoken::decode::<Claims>(token, &self.0.0, &self.0.1).ok());
        let claims = checked.ok_or_else(|| Status::unauthenticated("the call is not signed"))?.claims;
        if let Some(id) = claims.sub {
            request.extensions_mut().insert(Person(id));
        }
        Ok(request)
    }
}

/// Returns the person of a request.
pub(super) fn person<T>(request: &Request<T>) -> Result<Uuid, Status> {
    let person = request.extensions().get::<Person>().map(|person| person.0);
    person.ok_or_else(|| Status::unauthenticated("the call names no person"))
}
/// Returns the person of a request. Fails when the request's message has the id of another person.
pub(super) fn person_named<T>(request: &Request<T>, id: &str) -> Result<Uuid, Status> {
    let person = person(request)?;
    let named: Uuid = id.parse().map_err(|_| Status::invalid_argument("user_id: a UUID"))?;
    if named == person { Ok(person) } else { Err(Status::permission_denied("user_id names another person")) }
}
