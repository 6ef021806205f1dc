//! Tests of the log of security events.
use service_auth::{AuthInterceptor, CallKey, CallSigner, GATEWAY, Person, Proof, USER_SERVICE, security};
use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex},
};
use tonic::{GrpcMethod, Request, service::Interceptor, transport::server::TcpConnectInfo};
use tracing_subscriber::fmt::MakeWriter;
use uuid::Uuid;

/// The output of the log.
#[derive(Clone, Default)]
struct Output(Arc<Mutex<Vec<u8>>>);
impl io::Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
impl MakeWriter<'_> for Output {
    type Writer = Output;
    fn make_writer(&self) -> Output {
        self.clone()
    }
}
/// Returns the log of a function.
fn logged(act: impl FnOnce()) -> String {
    let output = Output::default();
    let log = tracing_subscriber::fmt().with_writer(output.clone()).with_ansi(false).finish();
    tracing::subscriber::with_default(log, act);
    let bytes = output.0.lock().unwrap().clone();
    String::from_utf8(bytes).unwrap()
}
/// A call of a method that has this path, from an address in the documentation's network.
fn request(person: Option<Person>, path: &str, proof: &Proof) -> Request<()> {
    let mut request = Request::new(());
    let (service, method) = path.trim_start_matches('/').split_once('/').unwrap();
    let (service, method) = (service.to_owned().leak(), method.to_owned().leak());
    request.extensions_mut().insert(GrpcMethod::new(service, method));
    if let Some(person) = person {
        request.extensions_mut().insert(person);
    }
    let mut sent = CallSigner::new(GATEWAY, USER_SERVICE, proof).call(request).unwrap();
    let remote: SocketAddr = "192.0.2.7:4711".parse().unwrap();
    sent.extensions_mut().insert(TcpConnectInfo { local_addr: None, remote_addr: Some(remote) });
    sent
}

#[test]
fn a_refused_call_is_logged_with_its_address_and_without_the_token() {
    let (kim, proof) = (Uuid::from_u128(0x4b49_4d4b_494d), Proof::signed(CallKey::generate().unwrap()));
    let interceptor = AuthInterceptor::new(USER_SERVICE, &proof);
    // An administrator's method, called for a person.
    let method = contracts::rpcs().find(|(_, access)| *access == contracts::v1::access::Access::Admin).unwrap().0;
    let sent = request(Some(Person::user(kim)), method, &proof);
    let token = sent.metadata().get(contracts::TOKEN_METADATA).unwrap().to_str().unwrap().to_owned();
    let log = logged(|| drop(interceptor.verify(method, sent).unwrap_err()));
    for expected in ["security", "call_refused", "FORBIDDEN", method, "192.0.2.7", GATEWAY, &security::person(kim)] {
        assert!(log.contains(expected), "{expected} in {log}");
    }
    assert!(!log.contains(&kim.to_string()) && !log.contains(&token), "{log}");

    let stranger = Proof::signed(CallKey::generate().unwrap());
    let log = logged(|| drop(interceptor.verify(method, request(None, method, &stranger)).unwrap_err()));
    assert!(log.contains("INVALID") && log.contains("192.0.2.7"), "{log}");
}

#[test]
fn a_path_that_a_stranger_made_up_is_not_logged() {
    let proof = Proof::signed(CallKey::generate().unwrap());
    let log = logged(|| {
        let interceptor = AuthInterceptor::new(USER_SERVICE, &proof);
        drop(interceptor.verify("/secret-of-kim/0198c0de", Request::new(())).unwrap_err());
    });
    assert!(log.contains("unknown") && !log.contains("secret-of-kim"), "{log}");
}
