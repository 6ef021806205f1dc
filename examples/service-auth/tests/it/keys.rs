//! Tests of signing keys that overlap and are read again from their file.
use jsonwebtoken::{Algorithm, EncodingKey, Header, Validation, decode_header, encode};
use serde_json::{Value, json};
use service_auth::{
    AuthInterceptor, CallKey, CallKeys, CallSigner, CallerKeys, GATEWAY, Identity, Keys, Proof, USER_SERVICE,
    operators::{NotOperator, Operators},
};
use std::{
    fs, thread,
    time::{Duration, Instant},
};
use tonic::{GrpcMethod, Request, service::Interceptor};

const OLD: &str = "the old key, of at least 32 bytes in all";
const NEW: &str = "the new key, of at least 32 bytes in all";

fn rules() -> Validation {
    let mut rules = Validation::new(Algorithm::HS256);
    rules.set_required_spec_claims(&["exp"]);
    rules
}
fn claims() -> Value {
    json!({ "exp": chrono::Utc::now().timestamp() + 60, "of": "kim" })
}
fn verifies(keys: &Keys, token: &str) -> bool {
    keys.verify::<Value>(token, &rules()).is_ok_and(|found| found["of"] == "kim")
}
fn id(token: &str) -> String {
    decode_header(token).unwrap().kid.unwrap()
}
/// Waits until a changed file has been read again, with this effect.
fn until(case: &str, mut has_effect: impl FnMut() -> bool) {
    let began = Instant::now();
    while !has_effect() {
        assert!(began.elapsed() < Duration::from_secs(60), "the file was not read again: {case}");
        thread::sleep(Keys::INTERVAL / 10);
    }
}
/// Waits so long that a changed file has usually been read again. A late read cannot fail a test, since it has no effect.
fn wait() {
    thread::sleep(Keys::INTERVAL + Keys::INTERVAL / 10);
}

#[test]
fn the_first_key_signs_and_all_verify() {
    let (both, old) = (Keys::parse(&format!("{NEW}\n{OLD}\n")).unwrap(), Keys::parse(OLD).unwrap());
    let (by_old, by_new) = (old.sign(&claims()).unwrap(), both.sign(&claims()).unwrap());
    assert!(verifies(&both, &by_old) && verifies(&both, &by_new));
    assert!(verifies(&old, &by_old) && !verifies(&old, &by_new), "the first key signs");
    assert_ne!(id(&by_old), id(&by_new));
    assert!(!by_old.contains(OLD) && !id(&by_old).contains("old"));
}

#[test]
fn a_token_without_the_id_of_its_key_is_verified_with_each_key() {
    let both = Keys::parse(&format!("{NEW}\n{OLD}")).unwrap();
    let sign = |secret: &str, id: Option<String>| {
        let header = Header { kid: id, ..Header::new(Algorithm::HS256) };
        encode(&header, &claims(), &EncodingKey::from_secret(secret.as_bytes())).unwrap()
    };
    assert!(verifies(&both, &sign(OLD, None)) && verifies(&both, &sign(NEW, None)));
    assert!(!verifies(&both, &sign("a key that is not among them, 32 bytes", None)));
    let id_of_new = id(&both.sign(&claims()).unwrap());
    assert!(!verifies(&both, &sign(OLD, Some(id_of_new))), "the id names another key");
    assert!(!verifies(&both, &sign(OLD, Some("unknown".into()))), "the id names no key");
}

#[test]
fn a_key_is_replaced_in_its_file_and_no_token_is_refused_before_its_key_is_removed() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("keys");
    fs::write(&file, OLD).unwrap();
    let (signer, verifier) = (Keys::of_file(&file).unwrap(), Keys::of_file(&file).unwrap());
    let before = signer.sign(&claims()).unwrap();
    let by_new = Keys::parse(NEW).unwrap().sign(&claims()).unwrap();
    for (step, text) in ["append", "move to the first line"].iter().zip([[OLD, NEW], [NEW, OLD]]) {
        // Replaced by a rename, as orchestrators do.
        let next = folder.path().join("next");
        fs::write(&next, text.join("\n")).unwrap();
        fs::rename(&next, &file).unwrap();
        let signs_with = if *step == "append" { id(&before) } else { id(&by_new) };
        let is_read = || verifies(&verifier, &by_new) && id(&signer.sign(&claims()).unwrap()) == signs_with;
        until(step, is_read);
        assert!(verifies(&verifier, &before), "{step}");
        assert!(verifies(&verifier, &signer.sign(&claims()).unwrap()), "{step}");
    }
    let after = signer.sign(&claims()).unwrap();
    assert_ne!(id(&before), id(&after));
    fs::write(&file, NEW).unwrap();
    until("the old key was removed", || !verifies(&verifier, &before));
    assert!(verifies(&verifier, &after));
}

#[test]
fn a_file_that_cannot_be_used_leaves_the_former_keys_in_use() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("keys");
    fs::write(&file, OLD).unwrap();
    let keys = Keys::of_file(&file).unwrap();
    let token = keys.sign(&claims()).unwrap();
    for text in ["", "\n", "too short", &format!("{NEW}\ntoo short"), &format!("{NEW}\n").repeat(Keys::MOST + 1)] {
        assert!(Keys::parse(text).is_err(), "{text:?}");
        fs::write(&file, text).unwrap();
        wait();
        assert!(verifies(&keys, &token), "{text:?}");
    }
    fs::remove_file(&file).unwrap();
    wait();
    assert!(verifies(&keys, &token), "no file");
    assert!(Keys::of_file(&file).is_err());
    fs::write(&file, NEW).unwrap();
    until("a file with a key again", || !verifies(&keys, &token));
}

/// Makes a call as the gateway with one private key, and verifies it as a service with these public keys.
fn is_accepted(private: &CallKeys, public: &CallerKeys) -> bool {
    is_accepted_of(&mut signer(private), public)
}
fn signer(private: &CallKeys) -> CallSigner {
    CallSigner::new(GATEWAY, USER_SERVICE, &Proof::of(Some(private.clone()), None, None).unwrap())
}
fn is_accepted_of(signer: &mut CallSigner, public: &CallerKeys) -> bool {
    let of_service = Proof::of(None, Some(public.clone()), None).unwrap();
    let mut request = Request::new(());
    request.extensions_mut().insert(GrpcMethod::new("com.hearlers.v1.service.UserService", "InitializeUser"));
    let sent = signer.call(request).unwrap();
    let method = "/com.hearlers.v1.service.UserService/InitializeUser";
    let verified = AuthInterceptor::new(USER_SERVICE, &of_service).verify(method, sent);
    verified.is_ok_and(|verified| &*Identity::of(&verified).unwrap().caller == GATEWAY)
}

#[test]
fn a_call_key_is_replaced_and_no_call_is_refused_before_its_public_key_is_removed() {
    let folder = tempfile::tempdir().unwrap();
    let (private, public) = (folder.path().join("gateway.key"), folder.path().join("callers"));
    let (old, new) = (CallKey::generate_text().unwrap(), CallKey::generate_text().unwrap());
    let pem = |key: &str| format!("-----BEGIN PRIVATE KEY-----\n{key}\n-----END PRIVATE KEY-----\n");
    fs::write(&private, pem(&old.0)).unwrap();
    fs::write(&public, format!("# the gateway\ngateway={}\n", old.1)).unwrap();
    let (signs, verifies) = (CallKeys::of_file(&private).unwrap(), CallerKeys::of_file(&public).unwrap());
    let by = |key: &(String, String)| CallKeys::parse(&key.0).unwrap();
    assert!(is_accepted(&signs, &verifies) && !is_accepted(&by(&new), &verifies));

    fs::write(&public, format!("gateway={}\ngateway={}\n", new.1, old.1)).unwrap();
    until("the public key was added", || is_accepted(&by(&new), &verifies));
    assert!(is_accepted(&signs, &verifies));
    fs::write(&private, pem(&new.0)).unwrap();
    let only_new = CallerKeys::parse(&format!("gateway={}", new.1)).unwrap();
    until("the private key was replaced", || is_accepted(&signs, &only_new));
    assert!(is_accepted(&signs, &verifies) && is_accepted(&by(&old), &verifies));
    fs::write(&public, format!("gateway={}", new.1)).unwrap();
    until("the old public key was removed", || !is_accepted(&by(&old), &verifies));
    assert!(is_accepted(&signs, &verifies));

    fs::write(&public, "gateway=nonsense").unwrap();
    wait();
    assert!(is_accepted(&signs, &verifies), "a file that cannot be used changes nothing");
}

/// A service remembers the signatures that it has verified. A key that was stolen must have no effect once it is removed.
#[test]
fn a_token_that_was_accepted_is_refused_once_its_public_key_is_removed() {
    let folder = tempfile::tempdir().unwrap();
    let public = folder.path().join("callers");
    let (old, new) = (CallKey::generate_text().unwrap(), CallKey::generate_text().unwrap());
    fs::write(&public, format!("gateway={}\ngateway={}\n", new.1, old.1)).unwrap();
    let verifies = CallerKeys::of_file(&public).unwrap();
    let mut signs = signer(&CallKeys::parse(&old.0).unwrap()); // it sends the same token each time
    assert!(is_accepted_of(&mut signs, &verifies) && is_accepted_of(&mut signs, &verifies));
    fs::write(&public, format!("gateway={}", new.1)).unwrap();
    until("the public key was removed", || !is_accepted_of(&mut signs, &verifies));
}

#[test]
fn keys_are_read_as_openssl_writes_them() {
    // The key of RFC 8032, 7.1, in PKCS #8 and as its 32 bytes; its public key with and without the prefix.
    let raw = "nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=";
    let private = ["MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g", raw];
    let public = [
        "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=",
        "MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=",
    ];
    assert_eq!(CallKey::parse(raw).unwrap().public(), public[0]);
    for (private, public) in private.iter().flat_map(|private| public.iter().map(move |public| (private, public))) {
        let callers = CallerKeys::parse(&format!("counseling-service={public}, gateway={public}")).unwrap();
        assert!(is_accepted(&CallKeys::parse(private).unwrap(), &callers), "{private} {public}");
        assert!(!format!("{:?}", CallKeys::parse(private)).contains(&private[..8]));
    }
    for bad in ["", "nonsense", "AAAA", "-----BEGIN PRIVATE KEY-----", "MC4CAQAwBQYDK2VwBCIEIJ1h"] {
        assert!(CallKeys::parse(bad).is_err(), "{bad}");
        let message = CallerKeys::parse(&format!("gateway={bad}")).unwrap_err().to_string();
        assert!(message.contains("line 1"), "{message}");
    }
    assert!(CallerKeys::parse(public[0]).is_err() && CallerKeys::parse(&format!("={}", public[0])).is_err());
}

#[test]
fn the_key_of_one_caller_does_not_sign_for_another() {
    let (private, public) = CallKey::generate_text().unwrap();
    let keys = CallKeys::parse(&private).unwrap();
    assert!(is_accepted(&keys, &CallerKeys::parse(&format!("gateway={public}")).unwrap()));
    assert!(!is_accepted(&keys, &CallerKeys::parse(&format!("counseling-service={public}")).unwrap()));
}

#[test]
fn an_operator_is_named_by_their_own_secret() {
    let [kim, lee, next] = ["kims", "lees", "next"].map(|whose| format!("{whose}-secret-of-at-least-32-bytes-in-all"));
    let operators = Operators::parse(&format!("kim={kim}\n# on call\nlee={lee}\nkim={next}\n")).unwrap();
    let shown = |secret: &str| operators.check(Some(&format!("Bearer {secret}"))).map(|found| found.name().to_owned());
    assert_eq!(shown(&kim), Ok("kim".to_owned()));
    assert_eq!(shown(&next), Ok("kim".to_owned()), "a secret is replaced while both are accepted");
    assert_eq!(shown(&lee), Ok("lee".to_owned()));
    assert_eq!(shown("another one"), Err(NotOperator::WrongSecret));
    assert_eq!(shown(""), Err(NotOperator::WrongSecret));
    assert_eq!(operators.check(None), Err(NotOperator::NoSecret));
    assert_eq!(operators.check(Some(&format!("Basic {kim}"))), Err(NotOperator::NoSecret));
    assert_eq!(Operators::none().check(Some(&format!("Bearer {kim}"))), Err(NotOperator::Closed));
    for bad in ["kim=short", "a-secret-of-at-least-32-bytes-in-all", &format!("kim lee={kim}"), &format!("={kim}")] {
        assert!(Operators::parse(bad).is_err(), "{bad}");
    }
    let nobody = Operators::parse("# NAME=SECRET\n").unwrap();
    assert_eq!(nobody.check(Some(&format!("Bearer {kim}"))), Err(NotOperator::WrongSecret));
}
