//! Tokens: what the other side believes, and every forgery that somebody tried elsewhere.
use contracts::{AUTHORITY_METADATA, TOKEN_METADATA, USER_METADATA, v1::model::Authority};
use cqrs_core::grpc::details;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};
use tonic::{Code, Request, service::Interceptor};
use trust::{COUNSELING_SERVICE, GATEWAY, Guard, Identity, Key, Person, Proof, USER_SERVICE, Vouch};
use uuid::Uuid;

const KIM: Uuid = Uuid::from_u128(1);
const SECRET: &str = "what gateway and services both know";

fn proof() -> Proof {
    Proof::signed(Key::new(SECRET).unwrap())
}
fn guard() -> Guard {
    Guard::new(USER_SERVICE, &proof())
}
/// As the gateway sends it.
fn signed(person: Option<Person>) -> Request<()> {
    let mut request = Request::new(());
    if let Some(person) = person {
        request.extensions_mut().insert(person);
    }
    Vouch::new(GATEWAY, USER_SERVICE, &proof()).call(request).unwrap()
}
fn with(headers: &[(&'static str, &str)]) -> Request<()> {
    let mut request = Request::new(());
    for (name, value) in headers {
        request.metadata_mut().append(*name, value.parse().unwrap());
    }
    request
}
fn reason(request: Request<()>) -> String {
    let refused = guard().call(request).unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated);
    assert!(trust::Refused::told_by(&refused));
    details(&refused).reason.unwrap()
}
/// What the gateway says of Kim, a minute from now.
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
fn said(claims: &Value) -> String {
    reason(with(&[(TOKEN_METADATA, &token(Algorithm::HS256, claims, SECRET))]))
}
fn changed(name: &str, value: Value) -> Value {
    let mut claims = claims();
    claims[name] = value;
    claims
}

#[test]
fn what_the_gateway_says_is_believed_and_handlers_see_nothing_else() {
    let admin = Person { id: KIM, authority: Authority::Admin };
    for person in [None, Some(Person::user(KIM)), Some(admin)] {
        let believed = guard().call(signed(person)).unwrap();
        let identity = Identity::of(&believed).unwrap();
        assert_eq!((&*identity.caller, identity.person), (GATEWAY, person));
        for name in [USER_METADATA, AUTHORITY_METADATA, TOKEN_METADATA] {
            assert!(believed.metadata().get(name).is_none(), "{name}");
        }
    }
    let nobody = guard().call(Request::new(())).unwrap();
    assert_eq!(Identity::of(&nobody), None, "a first visit is nobody's");
    let hand_made = with(&[(TOKEN_METADATA, &token(Algorithm::HS256, &claims(), SECRET))]);
    assert_eq!(Identity::of(&guard().call(hand_made).unwrap()).unwrap().person, Some(Person::user(KIM)));
}

#[test]
fn an_identity_comes_from_a_guard_alone() {
    let mut smuggled = Request::new(());
    smuggled.extensions_mut().insert(Identity { caller: GATEWAY.into(), person: Some(Person::user(KIM)) });
    assert_eq!(Identity::of(&guard().call(smuggled).unwrap()), None);
}

#[test]
fn what_a_client_wrote_before_is_not_signed() {
    let other = Uuid::from_u128(2).to_string();
    let mut request = with(&[(USER_METADATA, &other), (AUTHORITY_METADATA, "AUTHORITY_ADMIN"), (TOKEN_METADATA, "x")]);
    request.extensions_mut().insert(Person::user(KIM));
    let sent = Vouch::new(GATEWAY, USER_SERVICE, &proof()).call(request).unwrap();
    assert_eq!(sent.metadata().get_all(USER_METADATA).iter().count(), 1);
    assert!(sent.metadata().get(TOKEN_METADATA).unwrap().is_sensitive(), "it shows in no log of the transport");
    let believed = guard().call(sent).unwrap();
    assert_eq!(Identity::of(&believed).unwrap().person, Some(Person::user(KIM)));
}

#[test]
fn a_service_goes_on_for_the_person_it_was_asked_for() {
    let mut received = guard().call(signed(Some(Person::user(KIM)))).unwrap();
    let mut onwards = Request::new(());
    *onwards.extensions_mut() = std::mem::take(received.extensions_mut());
    let sent = Vouch::new(COUNSELING_SERVICE, USER_SERVICE, &proof()).call(onwards).unwrap();
    let believed = guard().call(sent).unwrap();
    let identity = Identity::of(&believed).unwrap();
    assert_eq!((&*identity.caller, identity.person), (COUNSELING_SERVICE, Some(Person::user(KIM))));
}

#[test]
fn what_nobody_signed_is_refused() {
    let kim = KIM.to_string();
    assert_eq!(reason(with(&[(USER_METADATA, &kim)])), "IDENTITY_NOT_SIGNED");
    assert_eq!(reason(with(&[(USER_METADATA, &kim), (AUTHORITY_METADATA, "AUTHORITY_ADMIN")])), "IDENTITY_NOT_SIGNED");
    assert_eq!(reason(with(&[(AUTHORITY_METADATA, "AUTHORITY_ADMIN")])), "IDENTITY_UNREADABLE");
    for bad in ["kim", "", "' or 1=1"] {
        assert_eq!(reason(with(&[(USER_METADATA, bad)])), "IDENTITY_UNREADABLE", "{bad}");
    }
    for name in [USER_METADATA, TOKEN_METADATA] {
        assert_eq!(reason(with(&[(name, &kim), (name, &kim)])), "IDENTITY_UNREADABLE", "which of two is unclear");
    }
}

#[test]
fn a_token_and_what_stands_beside_it_say_the_same() {
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
fn every_forgery_is_refused() {
    let now = chrono::Utc::now().timestamp();
    let mut lasting = changed("exp", json!(now + 3600));
    lasting["iat"] = json!(now);
    let mut nobodys_authority = claims();
    nobodys_authority.as_object_mut().unwrap().remove("sub");
    let mut endless = claims();
    endless.as_object_mut().unwrap().remove("exp");
    for (what, claims) in [
        ("another service's", changed("aud", json!(COUNSELING_SERVICE))),
        ("several services'", changed("aud", json!([COUNSELING_SERVICE, "x"]))),
        ("a session", changed("typ", json!("access"))),
        ("no issuer", changed("iss", json!(""))),
        ("no such authority", changed("authority", json!("AUTHORITY_ROOT"))),
        ("the unspecified authority", changed("authority", json!("AUTHORITY_UNSPECIFIED"))),
        ("not a person", changed("sub", json!("kim"))),
        ("an authority without a person", nobodys_authority),
        ("one that holds for an hour", lasting),
        ("one that ends before it begins", changed("iat", json!(now + 90))),
        ("one that overflows", changed("iat", json!(i64::MIN))),
        ("one that never ends", endless),
        ("not yet", changed("nbf", json!(now + 120))),
    ] {
        assert_eq!(said(&claims), "IDENTITY_INVALID", "{what}");
    }
    let mut old = changed("exp", json!(now - 31));
    old["iat"] = json!(now - 60);
    assert_eq!(said(&old), "IDENTITY_EXPIRED");
    old["exp"] = json!(now - 25);
    assert!(guard().call(with(&[(TOKEN_METADATA, &token(Algorithm::HS256, &old, SECRET))])).is_ok(), "clocks differ");

    let good = token(Algorithm::HS256, &claims(), SECRET);
    let (head, rest) = good.split_once('.').unwrap();
    let (body, signature) = rest.split_once('.').unwrap();
    // {"alg":"none"}, {"alg":"RS256"} with our HMAC, and a body that was changed after it was signed.
    for (what, token) in [
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
        assert_eq!(reason(with(&[(TOKEN_METADATA, &token)])), "IDENTITY_INVALID", "{what}");
    }
}
