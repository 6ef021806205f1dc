//! Tests of tokens: valid calls are accepted, and known forgeries are refused.
use contracts::{AUTHORITY_METADATA, TOKEN_METADATA, USER_METADATA, v1::model::Authority};
use cqrs_core::grpc::details;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};
use service_auth::{
    AuthInterceptor, COUNSELING_SERVICE, CallSigner, GATEWAY, Identity, Key, Person, Proof, USER_SERVICE,
};
use tonic::{Code, Request, service::Interceptor};
use uuid::Uuid;

const KIM: Uuid = Uuid::from_u128(1);
const SECRET: &str = "what gateway and services both know";

fn proof() -> Proof {
    Proof::signed(Key::new(SECRET).unwrap())
}
fn interceptor() -> AuthInterceptor {
    AuthInterceptor::new(USER_SERVICE, &proof())
}
/// Builds a request as the gateway sends it.
fn signed(person: Option<Person>) -> Request<()> {
    let mut request = Request::new(());
    if let Some(person) = person {
        request.extensions_mut().insert(person);
    }
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
    let refused = interceptor().call(request).unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated);
    assert!(service_auth::Refused::is_reported_by(&refused));
    details(&refused).reason.unwrap()
}
/// Returns the claims of a valid token for Kim.
fn claims() -> Value {
    let now = chrono::Utc::now().timestamp();
    json!({
        "iss": GATEWAY, "aud": USER_SERVICE, "sub": KIM, "authority": "AUTHORITY_USER", "typ": "internal",
        "iat": now, "exp": now + 60,
    })
}
fn token(algorithm: Algorithm, claims: &Value, secret: &str) -> String {
    encode(&Header::new(algorithm), claims, &EncodingKey::from_secret(secret.as_bytes())).unwrap()
}
fn reason_of(claims: &Value) -> String {
    reason(with(&[(TOKEN_METADATA, &token(Algorithm::HS256, claims, SECRET))]))
}
fn changed(name: &str, value: Value) -> Value {
    let mut claims = claims();
    claims[name] = value;
    claims
}

#[test]
fn a_signed_call_is_accepted_and_its_metadata_removed() {
    let admin = Person { id: KIM, authority: Authority::Admin };
    for person in [None, Some(Person::user(KIM)), Some(admin)] {
        let verified = interceptor().call(signed(person)).unwrap();
        let identity = Identity::of(&verified).unwrap();
        assert_eq!((&*identity.caller, identity.person), (GATEWAY, person));
        for name in [USER_METADATA, AUTHORITY_METADATA, TOKEN_METADATA] {
            assert!(verified.metadata().get(name).is_none(), "{name}");
        }
    }
    let anonymous = interceptor().call(Request::new(())).unwrap();
    assert_eq!(Identity::of(&anonymous), None, "a first visit has no identity");
    let hand_made = with(&[(TOKEN_METADATA, &token(Algorithm::HS256, &claims(), SECRET))]);
    assert_eq!(Identity::of(&interceptor().call(hand_made).unwrap()).unwrap().person, Some(Person::user(KIM)));
}

#[test]
fn an_identity_in_the_request_is_replaced_by_the_interceptor() {
    let mut smuggled = Request::new(());
    smuggled.extensions_mut().insert(Identity { caller: GATEWAY.into(), person: Some(Person::user(KIM)) });
    assert_eq!(Identity::of(&interceptor().call(smuggled).unwrap()), None);
}

#[test]
fn identity_metadata_of_the_request_is_replaced_before_signing() {
    let other = Uuid::from_u128(2).to_string();
    let mut request = with(&[(USER_METADATA, &other), (AUTHORITY_METADATA, "AUTHORITY_ADMIN"), (TOKEN_METADATA, "x")]);
    request.extensions_mut().insert(Person::user(KIM));
    let sent = CallSigner::new(GATEWAY, USER_SERVICE, &proof()).call(request).unwrap();
    assert_eq!(sent.metadata().get_all(USER_METADATA).iter().count(), 1);
    assert!(sent.metadata().get(TOKEN_METADATA).unwrap().is_sensitive(), "the transport must not log it");
    let verified = interceptor().call(sent).unwrap();
    assert_eq!(Identity::of(&verified).unwrap().person, Some(Person::user(KIM)));
}

#[test]
fn a_service_calls_another_for_the_same_person() {
    let mut received = interceptor().call(signed(Some(Person::user(KIM)))).unwrap();
    let mut onwards = Request::new(());
    *onwards.extensions_mut() = std::mem::take(received.extensions_mut());
    let sent = CallSigner::new(COUNSELING_SERVICE, USER_SERVICE, &proof()).call(onwards).unwrap();
    let verified = interceptor().call(sent).unwrap();
    let identity = Identity::of(&verified).unwrap();
    assert_eq!((&*identity.caller, identity.person), (COUNSELING_SERVICE, Some(Person::user(KIM))));
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
    let mut request = signed(Some(Person::user(KIM)));
    request.metadata_mut().insert(USER_METADATA, Uuid::from_u128(2).to_string().parse().unwrap());
    assert_eq!(reason(request), "IDENTITY_MISMATCH");
    let mut request = signed(Some(Person::user(KIM)));
    request.metadata_mut().insert(AUTHORITY_METADATA, "AUTHORITY_ADMIN".parse().unwrap());
    assert_eq!(reason(request), "IDENTITY_MISMATCH");
    let mut request = signed(None);
    request.metadata_mut().insert(USER_METADATA, KIM.to_string().parse().unwrap());
    assert_eq!(reason(request), "IDENTITY_MISMATCH");
}

#[test]
fn forged_tokens_are_refused() {
    let now = chrono::Utc::now().timestamp();
    let mut lasting = changed("exp", json!(now + 3600));
    lasting["iat"] = json!(now);
    let mut later = changed("exp", json!(now + 3600));
    later["iat"] = json!(now + 3540);
    let mut authority_alone = claims();
    authority_alone.as_object_mut().unwrap().remove("sub");
    let mut endless = claims();
    endless.as_object_mut().unwrap().remove("exp");
    for (case, claims) in [
        ("a token for another service", changed("aud", json!(COUNSELING_SERVICE))),
        ("a token for several services", changed("aud", json!([COUNSELING_SERVICE, "x"]))),
        ("an access token of a session", changed("typ", json!("access"))),
        ("no issuer", changed("iss", json!(""))),
        ("no such authority", changed("authority", json!("AUTHORITY_ROOT"))),
        ("the unspecified authority", changed("authority", json!("AUTHORITY_UNSPECIFIED"))),
        ("not a person", changed("sub", json!("kim"))),
        ("an authority without a person", authority_alone),
        ("a lifetime of an hour", lasting),
        ("a time of signing in an hour", later),
        ("an expiry before the time of signing", changed("iat", json!(now + 90))),
        ("an overflowing time", changed("iat", json!(i64::MIN))),
        ("no expiry", endless),
        ("not valid yet", changed("nbf", json!(now + 120))),
    ] {
        assert_eq!(reason_of(&claims), "IDENTITY_INVALID", "{case}");
    }
    let mut old = changed("exp", json!(now - 31));
    old["iat"] = json!(now - 60);
    assert_eq!(reason_of(&old), "IDENTITY_EXPIRED");
    old["exp"] = json!(now - 25);
    assert!(
        interceptor().call(with(&[(TOKEN_METADATA, &token(Algorithm::HS256, &old, SECRET))])).is_ok(),
        "a difference between clocks is accepted"
    );

    let good = token(Algorithm::HS256, &claims(), SECRET);
    let (head, rest) = good.split_once('.').unwrap();
    let (body, signature) = rest.split_once('.').unwrap();
    // {"alg":"none"}, {"alg":"RS256"} with this HMAC, and a body that was changed after signing.
    for (case, token) in [
        ("unsigned", format!("eyJhbGciOiJub25lIn0.{body}.")),
        ("another algorithm", format!("eyJhbGciOiJSUzI1NiJ9.{body}.{signature}")),
        ("a longer hash", token(Algorithm::HS512, &claims(), SECRET)),
        ("another secret", token(Algorithm::HS256, &claims(), "what nobody knows but a stranger it")),
        ("no signature", format!("{head}.{body}.")),
        ("a cut signature", good[..good.len() - 1].to_owned()),
        ("another body", format!("{head}.{}.{signature}", body.replacen('J', "K", 1))),
        ("nonsense", "nonsense".to_owned()),
        ("empty", String::new()),
        ("long", "a".repeat(1 << 16)),
    ] {
        assert_eq!(reason(with(&[(TOKEN_METADATA, &token)])), "IDENTITY_INVALID", "{case}");
    }
}
