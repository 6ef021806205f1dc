//! Tests of tokens: valid calls are accepted, and known forgeries are refused.
use axum::body::Body;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use contracts::{
    AUTHORITY_METADATA, TOKEN_METADATA, USER_METADATA,
    v1::{model::Authority, service::user_service_server},
};
use cqrs_core::grpc::details;
use ring::{
    hmac,
    signature::{Ed25519KeyPair, KeyPair},
};
use serde_json::{Value, json};
use service_auth::{
    AuthInterceptor, COUNSELING_SERVICE, CallKey, CallSigner, GATEWAY, Guarded, Identity, Person, Proof, USER_SERVICE,
};
use tonic::{
    Code, GrpcMethod, Request, Status,
    codegen::{Service, http},
    service::Interceptor,
};
use uuid::Uuid;

const KIM: Uuid = Uuid::from_u128(1);
/// A method that the contract allows to persons.
const UPDATE_USER: &str = "/com.hearlers.v1.service.UserService/UpdateUser";
/// The key of RFC 8032, 7.1.
const KEY: &str = "nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=";

fn key() -> CallKey {
    CallKey::parse(KEY).unwrap()
}
fn proof() -> Proof {
    Proof::signed(key())
}
fn interceptor() -> AuthInterceptor {
    AuthInterceptor::new(USER_SERVICE, &proof())
}
/// Verifies a call of `UpdateUser`.
fn verified(request: Request<()>) -> Result<Request<()>, Status> {
    interceptor().verify(UPDATE_USER, request)
}
/// Returns a request as a generated client passes it on.
fn call_of_update_user() -> Request<()> {
    let mut request = Request::new(());
    request.extensions_mut().insert(GrpcMethod::new("com.hearlers.v1.service.UserService", "UpdateUser"));
    request
}
/// Builds a request as the gateway sends it.
fn signed(person: Person) -> Request<()> {
    let mut request = call_of_update_user();
    request.extensions_mut().insert(person);
    CallSigner::new(GATEWAY, USER_SERVICE, &proof()).call(request).unwrap()
}
fn with(headers: &[(&'static str, &str)]) -> Request<()> {
    let mut request = Request::new(());
    for (name, value) in headers {
        request.metadata_mut().append(*name, value.parse().unwrap());
    }
    request
}
fn reason(request: Request<()>) -> String {
    let refused = verified(request).unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated);
    assert!(service_auth::Refused::is_reported_by(&refused));
    details(&refused).reason.unwrap()
}
/// Returns the claims of a valid token for Kim.
fn claims() -> Value {
    let now = chrono::Utc::now().timestamp();
    json!({
        "iss": GATEWAY, "aud": USER_SERVICE, "method": UPDATE_USER, "sub": KIM, "authority": "AUTHORITY_USER",
        "typ": "internal", "iat": now, "exp": now + 20,
    })
}
fn header() -> Value {
    json!({ "alg": "EdDSA", "kid": key().id() })
}
fn part(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}
/// Signs a header and claims with a key.
fn token(header: &Value, claims: &Value, key: &str) -> String {
    let seed = base64::engine::general_purpose::STANDARD.decode(key).unwrap();
    let text = format!("{}.{}", part(header), part(claims));
    let signature = Ed25519KeyPair::from_seed_unchecked(&seed).unwrap().sign(text.as_bytes());
    format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature))
}
fn reason_of(claims: &Value) -> String {
    reason(with(&[(TOKEN_METADATA, &token(&header(), claims, KEY))]))
}
fn changed(name: &str, value: Value) -> Value {
    let mut claims = claims();
    claims[name] = value;
    claims
}

#[test]
fn a_signed_call_is_accepted_and_its_metadata_removed() {
    for person in [Person::user(KIM), Person { id: KIM, authority: Authority::Admin }] {
        let verified = verified(signed(person)).unwrap();
        let identity = Identity::of(&verified).unwrap();
        assert_eq!((&*identity.caller, identity.person), (GATEWAY, Some(person)));
        for name in [USER_METADATA, AUTHORITY_METADATA, TOKEN_METADATA] {
            assert!(verified.metadata().get(name).is_none(), "{name}");
        }
    }
    let hand_made = with(&[(TOKEN_METADATA, &token(&header(), &claims(), KEY))]);
    assert_eq!(Identity::of(&verified(hand_made).unwrap()).unwrap().person, Some(Person::user(KIM)));
}

/// The service remembers the signatures that it has verified, each for its own message.
#[test]
fn a_forged_token_is_refused_after_the_valid_one_was_accepted() {
    let interceptor = interceptor();
    let verify = |token: &str| interceptor.verify(UPDATE_USER, with(&[(TOKEN_METADATA, token)]));
    let valid = token(&header(), &claims(), KEY);
    assert!(verify(&valid).is_ok() && verify(&valid).is_ok());
    let (_, signature) = valid.rsplit_once('.').unwrap();
    let forged = format!("{}.{}.{signature}", part(&header()), part(&changed("sub", json!(Uuid::from_u128(2)))));
    assert_eq!(verify(&forged).unwrap_err().code(), Code::Unauthenticated);
    assert!(verify(&valid).is_ok());
}

#[test]
fn a_call_without_a_token_is_unauthenticated_on_every_method() {
    for (method, _) in contracts::rpcs().chain([("/com.hearlers.v1.service.UserService/Unknown", Default::default())]) {
        let refused = interceptor().verify(method, Request::new(())).unwrap_err();
        assert_eq!(refused.code(), Code::Unauthenticated, "{method}");
        assert_eq!(details(&refused).reason.as_deref(), Some("IDENTITY_MISSING"), "{method}");
    }
}

#[test]
fn an_identity_in_the_request_is_not_believed() {
    let mut smuggled = Request::new(());
    smuggled.extensions_mut().insert(Identity { caller: GATEWAY.into(), person: Some(Person::user(KIM)) });
    assert_eq!(reason(smuggled), "IDENTITY_MISSING");
}

#[test]
fn identity_metadata_of_the_request_is_replaced_before_signing() {
    let other = Uuid::from_u128(2).to_string();
    let mut request = call_of_update_user();
    for (name, value) in [(USER_METADATA, &*other), (AUTHORITY_METADATA, "AUTHORITY_ADMIN"), (TOKEN_METADATA, "x")] {
        request.metadata_mut().append(name, value.parse().unwrap());
    }
    request.extensions_mut().insert(Person::user(KIM));
    let sent = CallSigner::new(GATEWAY, USER_SERVICE, &proof()).call(request).unwrap();
    assert_eq!(sent.metadata().get_all(USER_METADATA).iter().count(), 1);
    assert!(sent.metadata().get(TOKEN_METADATA).unwrap().is_sensitive(), "the transport must not log it");
    assert_eq!(Identity::of(&verified(sent).unwrap()).unwrap().person, Some(Person::user(KIM)));
}

#[test]
fn a_service_calls_another_for_the_same_person() {
    let mut received = verified(signed(Person::user(KIM))).unwrap();
    let mut onwards = Request::new(());
    *onwards.extensions_mut() = std::mem::take(received.extensions_mut());
    onwards.extensions_mut().insert(GrpcMethod::new("com.hearlers.v1.service.UserService", "UpdateUser"));
    let sent = CallSigner::new(COUNSELING_SERVICE, USER_SERVICE, &proof()).call(onwards).unwrap();
    let verified = verified(sent).unwrap();
    let identity = Identity::of(&verified).unwrap();
    assert_eq!((&*identity.caller, identity.person), (COUNSELING_SERVICE, Some(Person::user(KIM))));
}

#[test]
fn a_token_is_valid_for_its_method_alone() {
    let sent = signed(Person { id: KIM, authority: Authority::Admin });
    let again = |method: &str| {
        let mut request = Request::new(());
        *request.metadata_mut() = sent.metadata().clone();
        interceptor().verify(method, request)
    };
    assert!(again(UPDATE_USER).is_ok());
    for (method, _) in contracts::rpcs().filter(|(method, _)| *method != UPDATE_USER) {
        let refused = again(method).unwrap_err();
        assert_eq!(details(&refused).reason.as_deref(), Some("IDENTITY_INVALID"), "{method}");
    }
    let unnamed = CallSigner::new(GATEWAY, USER_SERVICE, &proof()).call(Request::new(())).unwrap_err();
    assert_eq!(unnamed.code(), Code::Internal, "a call that does not name its method is not signed");
}

#[test]
fn unsigned_identity_metadata_is_refused() {
    let kim = KIM.to_string();
    assert_eq!(reason(with(&[(USER_METADATA, &kim)])), "IDENTITY_NOT_SIGNED");
    assert_eq!(reason(with(&[(USER_METADATA, &kim), (AUTHORITY_METADATA, "AUTHORITY_ADMIN")])), "IDENTITY_NOT_SIGNED");
    assert_eq!(reason(with(&[(AUTHORITY_METADATA, "AUTHORITY_ADMIN")])), "IDENTITY_UNREADABLE");
    for bad in ["kim", "", "' or 1=1"] {
        assert_eq!(reason(with(&[(USER_METADATA, bad)])), "IDENTITY_UNREADABLE", "{bad}");
    }
    for name in [USER_METADATA, TOKEN_METADATA] {
        assert_eq!(
            reason(with(&[(name, &kim), (name, &kim)])),
            "IDENTITY_UNREADABLE",
            "a repeated header is ambiguous"
        );
    }
}

#[test]
fn a_token_that_contradicts_the_metadata_is_refused() {
    let mut request = signed(Person::user(KIM));
    request.metadata_mut().insert(USER_METADATA, Uuid::from_u128(2).to_string().parse().unwrap());
    assert_eq!(reason(request), "IDENTITY_MISMATCH");
    let mut request = signed(Person::user(KIM));
    request.metadata_mut().insert(AUTHORITY_METADATA, "AUTHORITY_ADMIN".parse().unwrap());
    assert_eq!(reason(request), "IDENTITY_MISMATCH");
    let mut request = CallSigner::new(GATEWAY, USER_SERVICE, &proof()).call(call_of_update_user()).unwrap();
    request.metadata_mut().insert(USER_METADATA, KIM.to_string().parse().unwrap());
    assert_eq!(reason(request), "IDENTITY_MISMATCH");
}

#[test]
fn a_token_is_accepted_for_a_minute_at_most_whatever_its_claims_say() {
    let now = chrono::Utc::now().timestamp();
    let at = |iat: i64, exp: i64| {
        let mut claims = changed("exp", json!(now + exp));
        claims["iat"] = json!(now + iat);
        verified(with(&[(TOKEN_METADATA, &token(&header(), &claims, KEY))]))
            .map(drop)
            .map_err(|refused| details(&refused).reason.unwrap())
    };
    // A second of margin, since the clock goes on during the test.
    assert_eq!(at(-38, -18), Ok(()), "a difference between clocks is accepted");
    assert_eq!(at(18, 38), Ok(()), "a difference between clocks is accepted");
    assert_eq!(at(-42, -22), Err("IDENTITY_EXPIRED".to_owned()));
    // It would still be valid by its claims, and for much longer.
    for (iat, exp) in [(-60, 60), (0, 3600), (-3600, 3600), (0, 25), (25, 45)] {
        assert_eq!(at(iat, exp), Err("IDENTITY_INVALID".to_owned()), "{iat} {exp}");
    }
}

#[test]
fn forged_tokens_are_refused() {
    let now = chrono::Utc::now().timestamp();
    let without = |name: &str| {
        let mut claims = claims();
        claims.as_object_mut().unwrap().remove(name);
        claims
    };
    for (case, claims) in [
        ("a token for another service", changed("aud", json!(COUNSELING_SERVICE))),
        ("a token for several services", changed("aud", json!([USER_SERVICE, "x"]))),
        ("a token for another method", changed("method", json!(UPDATE_USER.replace("Update", "Find")))),
        ("no method", without("method")),
        ("an access token of a session", changed("typ", json!("access"))),
        ("no issuer", changed("iss", json!(""))),
        ("an unknown issuer", changed("iss", json!("stranger"))),
        ("no such authority", changed("authority", json!("AUTHORITY_ROOT"))),
        ("the unspecified authority", changed("authority", json!("AUTHORITY_UNSPECIFIED"))),
        ("not a person", changed("sub", json!("kim"))),
        ("an authority without a person", without("sub")),
        ("an expiry before the time of signing", changed("iat", json!(now + 30))),
        ("an overflowing time", changed("iat", json!(i64::MIN))),
        ("no expiry", without("exp")),
        ("no time of signing", without("iat")),
        ("not valid yet", changed("nbf", json!(now + 120))),
    ] {
        assert_eq!(reason_of(&claims), "IDENTITY_INVALID", "{case}");
    }

    let good = token(&header(), &claims(), KEY);
    let (head, rest) = good.split_once('.').unwrap();
    let (body, signature) = rest.split_once('.').unwrap();
    let other_key = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    let id_of_other = CallKey::parse(other_key).unwrap().id().to_owned();
    // Who only has the public key signs with it as a secret of HMAC, the well-known confusion of algorithms.
    let confused = {
        let public =
            Ed25519KeyPair::from_seed_unchecked(&base64::engine::general_purpose::STANDARD.decode(KEY).unwrap());
        let secret = hmac::Key::new(hmac::HMAC_SHA256, public.unwrap().public_key().as_ref());
        let text = format!("{}.{body}", part(&json!({ "alg": "HS256", "kid": key().id() })));
        format!("{text}.{}", URL_SAFE_NO_PAD.encode(hmac::sign(&secret, text.as_bytes())))
    };
    for (case, token) in [
        ("unsigned", format!("{}.{body}.", part(&json!({ "alg": "none" })))),
        ("another algorithm", token(&json!({ "alg": "HS256", "kid": key().id() }), &claims(), KEY)),
        ("the public key as a secret", confused),
        ("without the id of a key", token(&json!({ "alg": "EdDSA" }), &claims(), KEY)),
        ("an unknown key", token(&json!({ "alg": "EdDSA", "kid": id_of_other }), &claims(), other_key)),
        ("another key with this id", token(&header(), &claims(), other_key)),
        (
            "what must be understood",
            token(&json!({ "alg": "EdDSA", "kid": key().id(), "crit": ["x"] }), &claims(), KEY),
        ),
        ("no signature", format!("{head}.{body}.")),
        ("a cut signature", good[..good.len() - 4].to_owned()),
        ("another body", format!("{head}.{}.{signature}", part(&changed("sub", json!(Uuid::from_u128(2)))))),
        ("nonsense", "nonsense".to_owned()),
        ("empty", String::new()),
        ("long", "a".repeat(1 << 16)),
    ] {
        assert_eq!(reason(with(&[(TOKEN_METADATA, &token)])), "IDENTITY_INVALID", "{case}");
    }
}

/// A service of which no method may be reached.
#[derive(Clone)]
struct Unreachable;
#[tonic::async_trait]
impl user_service_server::UserService for Unreachable {}

/// Sends garbage to a method and returns the code of the answer. No message of gRPC begins like it, and the length is 4 GB.
async fn code_for_garbage(method: &str, token: Option<&str>) -> Code {
    let mut guarded = Guarded::new(user_service_server::UserServiceServer::new(Unreachable), &interceptor());
    let mut request = http::Request::post(format!("http://users{method}"));
    request = request.header("content-type", "application/grpc");
    if let Some(token) = token {
        request = request.header(TOKEN_METADATA, token);
    }
    let body = Body::from(&b"\x07\xff\xff\xff\xffgarbage"[..]);
    let response = guarded.call(request.body(body).unwrap()).await.unwrap();
    Status::from_header_map(response.headers()).unwrap().code()
}

#[tokio::test]
async fn a_stranger_is_refused_before_the_request_is_parsed() {
    assert_eq!(code_for_garbage(UPDATE_USER, None).await, Code::Unauthenticated);
    assert_eq!(code_for_garbage(UPDATE_USER, Some("forged")).await, Code::Unauthenticated);
    let parsed = code_for_garbage(UPDATE_USER, Some(&token(&header(), &claims(), KEY))).await;
    assert_ne!(parsed, Code::Unauthenticated, "the garbage is found once the caller is known");
}

#[tokio::test]
async fn a_caller_without_the_right_is_refused_before_the_request_is_parsed() {
    // The first method is for administrators, the second one for the gateway itself.
    let [for_admins, for_the_gateway] =
        ["FindUserByNickname", "UpdateAuthority"].map(|name| UPDATE_USER.replace("UpdateUser", name));
    let code = async |method: &str, authority: &str| {
        let mut claims = changed("method", json!(method));
        claims["authority"] = json!(authority);
        code_for_garbage(method, Some(&token(&header(), &claims, KEY))).await
    };
    assert_eq!(code(&for_admins, "AUTHORITY_USER").await, Code::PermissionDenied);
    for authority in ["AUTHORITY_USER", "AUTHORITY_ADMIN"] {
        assert_eq!(code(&for_the_gateway, authority).await, Code::PermissionDenied, "{authority}");
    }
    let parsed = code(&for_admins, "AUTHORITY_ADMIN").await;
    assert_ne!(parsed, Code::PermissionDenied, "the garbage is found once the caller is allowed");
}
