//! Tests of the web edge: writes of other sites (S1), CORS, rate limits, the size of bodies, and the headers of every response.
use crate::{
    fixture::{Answer, Fixture, as_user, claims, error, token, with_json},
    services::{COUNSEL, COUNSELOR, USER},
};
use axum::{
    body::Body,
    http::{Request, request::Builder},
};
use contracts::v1::model::Authority;
use gateway::{Edge, Limit, Limits};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

const APP: &str = "https://app.example";
const CROSS_SITE: &str = "HTTP_CROSS_SITE_REQUEST";

/// A write that a browser sends with the person's cookie.
fn write(path: &str) -> Builder {
    Request::post(path).header("Cookie", format!("accessToken={}", token(&claims())))
}
fn counsels() -> String {
    format!("/v1/counselors/{COUNSELOR}/counsels")
}
async fn send(fixture: &Fixture, request: Builder, body: &str) -> Answer {
    fixture.send(request.body(Body::from(body.to_owned())).unwrap()).await
}

/// S1: a form on any page can send these. None opens a counsel, and none overwrites the person's cookies.
#[tokio::test]
async fn a_form_of_another_site_changes_nothing() {
    let fixture = Fixture::new().await;
    for path in ["/v1/auth/initiate".to_owned(), "/v1/auth/refresh".into(), "/v1/auth/logout".into(), counsels()] {
        for (kind, body) in [
            (None, ""),
            (Some("application/x-www-form-urlencoded"), ""),
            (Some("application/x-www-form-urlencoded"), "a=b"),
            (Some("multipart/form-data; boundary=x"), ""),
            (Some("text/plain"), "{\"message\": \"hi\"}"),
            (Some(""), ""),
        ] {
            let typed = |request: Builder| kind.into_iter().fold(request, |it, kind| it.header("Content-Type", kind));
            // An old browser sends neither header, so the type alone decides.
            let old = send(&fixture, typed(write(&path)), body).await;
            assert_eq!(old.error(), error(415, "HTTP_UNSUPPORTED_MEDIA_TYPE"), "{path}: {kind:?}");
            for (name, value) in [
                ("Sec-Fetch-Site", "cross-site"),
                ("Sec-Fetch-Site", "same-site"),
                ("Sec-Fetch-Site", "anything"),
                ("Origin", "https://evil.example"),
                ("Origin", "null"),
                ("Origin", "http://localhost.evil.example"),
                ("Origin", "http://localhost:8081"),
            ] {
                let answer = send(&fixture, typed(write(&path)).header(name, value), body).await;
                assert_eq!(answer.error(), error(403, CROSS_SITE), "{path}: {name}: {value}");
                assert_eq!(answer.cookie("accessToken"), None);
            }
        }
    }
    assert!(fixture.services.methods().is_empty());
}

/// S1: the origin counts also when the type or a header is right, as after a mistake in the CORS settings of a proxy.
#[tokio::test]
async fn a_script_of_another_site_changes_nothing() {
    let fixture = Fixture::new().await;
    for (name, value) in
        [("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Site", "same-site"), ("Origin", "https://evil.example")]
    {
        let json = with_json(write(&counsels()).header(name, value), &json!({}));
        assert_eq!(fixture.send(json).await.error(), error(403, CROSS_SITE), "{value}");
        let request = write("/v1/auth/logout").header(name, value).header("X-Requested-With", "evil");
        assert_eq!(send(&fixture, request, "").await.error(), error(403, CROSS_SITE), "{value}");
        let put = Request::put("/v1/users/me").header("Cookie", format!("accessToken={}", token(&claims())));
        assert_eq!(fixture.send(with_json(put.header(name, value), &json!({}))).await.error(), error(403, CROSS_SITE));
    }
    assert!(fixture.services.methods().is_empty());
}

#[tokio::test]
async fn the_page_and_programs_can_write() {
    let fixture = Fixture::new().await;
    for headers in [
        &[("Content-Type", "application/json"), ("Sec-Fetch-Site", "same-origin"), ("Origin", "http://localhost")][..],
        &[("Content-Type", "application/json"), ("Sec-Fetch-Site", "none")],
        &[("Content-Type", "application/json")],
        &[("X-Requested-With", "curl")],
    ] {
        let request = headers.iter().fold(write(&counsels()), |request, (name, value)| request.header(*name, *value));
        assert_eq!(send(&fixture, request, "").await.status, 201, "{headers:?}");
    }
    // A token in the header is sent by its owner alone.
    let bearer = as_user("POST", &counsels()).header("Sec-Fetch-Site", "cross-site").header("Origin", APP);
    assert_eq!(send(&fixture, bearer, "").await.status, 201);
    // Reads of other sites change nothing, and a link of another site must open the page.
    let link = Request::get("/").header("Sec-Fetch-Site", "cross-site");
    assert_eq!(send(&fixture, link, "").await.status, 200);
}

/// S16: a form with an empty body opens a counsel, even with the right header.
#[tokio::test]
async fn an_empty_form_opens_no_counsel() {
    let fixture = Fixture::new().await;
    let form = as_user("POST", &counsels()).header("Content-Type", "application/x-www-form-urlencoded");
    assert_eq!(send(&fixture, form, "").await.error(), error(415, "HTTP_UNSUPPORTED_MEDIA_TYPE"));
    assert!(fixture.services.methods().is_empty());
}

#[tokio::test]
async fn only_allowed_origins_may_call_with_cookies() {
    let origin = url::Url::parse(APP).unwrap().origin();
    let fixture = Fixture::with_edge(Edge { allowed_origins: vec![origin], ..Edge::default() });
    let preflight = async |origin: &str| {
        let request = Request::options("/v1/users/me").header("Origin", origin);
        let request = request.header("Access-Control-Request-Method", "PUT");
        send(&fixture, request.header("Access-Control-Request-Headers", "content-type,idempotency-key"), "").await
    };
    let allowed = preflight(APP).await;
    assert_eq!(allowed.status, 200);
    assert_eq!(allowed.header("access-control-allow-origin"), Some(APP));
    assert_eq!(allowed.header("access-control-allow-credentials"), Some("true"));
    let headers = allowed.header("access-control-allow-headers").unwrap();
    assert!(headers.contains("idempotency-key") && headers.contains("x-requested-with"), "{headers}");
    for evil in ["https://evil.example", "https://app.example.evil.example", "http://app.example", "null"] {
        assert_eq!(preflight(evil).await.header("access-control-allow-origin"), None, "{evil}");
    }
    let put = Request::put("/v1/users/me").header("Cookie", format!("accessToken={}", token(&claims())));
    let put = put.header("Origin", APP).header("Sec-Fetch-Site", "same-site");
    let answer = fixture.send(with_json(put, &json!({ "nickname": "lee" }))).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("access-control-allow-origin"), Some(APP));
    assert!(answer.header("vary").unwrap().to_lowercase().contains("origin"));
    let refused = Request::get("/v1/users/me").header("Origin", APP);
    let refused = send(&fixture, refused, "").await;
    assert_eq!((refused.status.as_u16(), refused.header("access-control-allow-origin")), (401, Some(APP)), "readable");

    let closed = Fixture::new().await;
    let request = Request::options("/v1/users/me").header("Origin", APP).header("Access-Control-Request-Method", "PUT");
    let answer = send(&closed, request, "").await;
    assert_eq!((answer.status.as_u16(), answer.header("access-control-allow-origin")), (405, None));
}

#[tokio::test]
async fn every_response_has_the_security_headers() {
    let fixture = Fixture::new().await;
    let get = |path: &str| Request::get(path).body(Body::empty()).unwrap();
    for (path, status) in
        [("/", 200), ("/assets/main.js", 200), ("/health/live", 200), ("/v1/users/me", 401), ("/v1/nothing", 404)]
    {
        let answer = fixture.send(get(path)).await;
        assert_eq!(answer.status, status, "{path}");
        for (name, part) in [
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
            ("content-security-policy", "frame-ancestors 'none'"),
            ("content-security-policy", "default-src 'none'"),
            ("referrer-policy", "no-referrer"),
            ("permissions-policy", "camera=()"),
            ("cross-origin-opener-policy", "same-origin"),
        ] {
            assert!(answer.header(name).is_some_and(|value| value.contains(part)), "{path}: {name}: {answer:?}");
        }
        assert_eq!(answer.headers.get_all("content-security-policy").iter().count(), 1, "{path}");
        assert_eq!(answer.header("strict-transport-security"), None, "only behind https");
    }
}

fn limits(limits: Limits) -> Fixture {
    Fixture::with_edge(Edge { limits, trusted_proxies: vec!["10.0.0.0/8".parse().unwrap()], ..Edge::default() })
}
fn hourly(count: u32) -> Option<Limit> {
    Limit::new(count, Duration::from_secs(3600))
}
async fn tones_from(fixture: &Fixture, peer: &str, forwarded: &str, person: u32) -> Answer {
    let mut claims = claims();
    claims["id"] = json!(format!("0198c0de-0000-7000-8000-{person:012}"));
    let request = Request::get("/v1/tones").header("Authorization", format!("Bearer {}", token(&claims)));
    let request = request.header("X-Forwarded-For", forwarded).header("Accept-Language", "en");
    fixture.send_from(peer, request.body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn requests_are_limited_by_the_address_that_believed_proxies_report() {
    let fixture = limits(Limits { address: hourly(2), ..Limits::default() });
    for person in [1, 2] {
        assert_eq!(tones_from(&fixture, "203.0.113.1", "", person).await.status, 200);
    }
    let refused = tones_from(&fixture, "203.0.113.1", "198.51.100.77", 3).await;
    assert_eq!(refused.error(), error(429, "HTTP_TOO_MANY_REQUESTS"), "its own header does not help");
    assert_eq!(refused.header("retry-after"), Some("1800"));
    assert_eq!(refused.json()["status"], "TOO_MANY_REQUESTS");
    assert_eq!(tones_from(&fixture, "203.0.113.2", "", 1).await.status, 200, "another address");
    // Behind the proxy, each client has its own count.
    for forwarded in ["198.51.100.1", "198.51.100.2", "203.0.113.9, 198.51.100.1", "198.51.100.2"] {
        assert_eq!(tones_from(&fixture, "10.0.0.1", forwarded, 1).await.status, 200, "{forwarded}");
    }
    assert_eq!(tones_from(&fixture, "10.0.0.1", "203.0.113.8, 198.51.100.1", 1).await.status, 429);
}

#[tokio::test]
async fn requests_are_limited_by_person_from_all_addresses() {
    let fixture = limits(Limits { person: hourly(2), ..Limits::default() });
    for address in ["203.0.113.1", "203.0.113.2"] {
        assert_eq!(tones_from(&fixture, address, "", 1).await.status, 200);
    }
    assert_eq!(tones_from(&fixture, "203.0.113.3", "", 1).await.error(), error(429, "HTTP_TOO_MANY_REQUESTS"));
    assert_eq!(tones_from(&fixture, "203.0.113.3", "", 2).await.status, 200, "another person");
}

/// S3 and defect 16: persons cannot be made without limit, and a person with a session is not limited by it.
#[tokio::test]
async fn first_visits_are_limited_by_address() {
    let fixture = limits(Limits { visits: hourly(2), ..Limits::default() });
    let visit = async |peer: &str, cookie: &str| {
        let request = Request::post("/v1/auth/initiate").header("X-Requested-With", "it").header("Cookie", cookie);
        fixture.send_from(peer, request.body(Body::empty()).unwrap()).await
    };
    let first = visit("2001:db8:1:2::1", "").await;
    assert_eq!(visit("2001:db8:1:2::2", "").await.status, 200);
    let refused = visit("2001:db8:1:2:ffff::3", "").await;
    assert_eq!(refused.error(), error(429, "HTTP_TOO_MANY_REQUESTS"), "one network is one client");
    assert_eq!(refused.header("set-cookie"), None);
    assert_eq!(fixture.services.registered(), 2);
    let cookie = format!("accessToken={}", first.cookie_value("accessToken"));
    assert_eq!(visit("2001:db8:1:2::1", &cookie).await.status, 200, "a session is renewed without limit");
    assert_eq!(visit("2001:db8:9:9::1", "").await.status, 200);
}

#[tokio::test]
async fn bodies_are_limited_by_route() {
    let fixture = Fixture::new().await;
    let admin = {
        let mut claims = claims();
        claims["authority"] = json!(Authority::Admin.as_str_name());
        format!("Bearer {}", token(&claims))
    };
    let of = |length: usize| json!({ "name": "a".repeat(length), "description": "", "message": "m" });
    let post = async |path: &str, body: Value| {
        fixture.send(with_json(Request::post(path).header("Authorization", &admin), &body)).await.status.as_u16()
    };
    let messages = format!("{}/{COUNSEL}/messages", counsels());
    assert_eq!(post(&messages, of(17 * 1024)).await, 413);
    assert_ne!(post(&messages, of(15 * 1024)).await, 413);
    assert_ne!(post("/v1/admin/tones", of(200 * 1024)).await, 413, "prompts are long");
    assert_eq!(post("/v1/admin/tones", of(300 * 1024)).await, 413);
    let refused = fixture.send(with_json(as_user("POST", &messages), &of(17 * 1024))).await;
    assert_eq!(refused.error(), error(413, "HTTP_PAYLOAD_TOO_LARGE"));
}

/// S8: a client that sends half a body, or a part now and then, does not hold its request for ever.
#[tokio::test]
async fn a_body_that_stops_arriving_is_given_up() {
    let fixture = Fixture::new().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(gateway::serve(listener, fixture.gateway.clone(), std::future::pending()));
    let mut connection = TcpStream::connect(address).await.unwrap();
    let head = format!(
        "POST {} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\n\
         Content-Length: 100\r\n\r\n{{\"bubbleId\"",
        counsels(),
        token(&claims())
    );
    connection.write_all(head.as_bytes()).await.unwrap();
    let mut answer = vec![0; 4096];
    let read = tokio::time::timeout(Duration::from_secs(30), connection.read(&mut answer)).await;
    let length = read.expect("the request is still held").unwrap();
    let answer = String::from_utf8_lossy(&answer[..length]).into_owned();
    assert!(answer.starts_with("HTTP/1.1 408") && answer.contains("HTTP_REQUEST_TIMEOUT"), "{answer}");
    assert!(fixture.services.methods().is_empty());
}

/// Defect 11: requests that the original answered with 500 have a status and a code of their own.
#[tokio::test]
async fn defect_11_bad_requests_are_no_server_errors() {
    let fixture = Fixture::new().await;
    let messages = format!("{}/{COUNSEL}/messages", counsels());
    let long = fixture.post(&messages, json!({ "message": "가".repeat(81) })).await;
    assert_eq!(long.error(), error(400, "HTTP_INVALID_INPUT"));
    let malformed = as_user("POST", &messages).header("Content-Type", "application/json");
    assert_eq!(send(&fixture, malformed, "{").await.error(), error(400, "HTTP_INVALID_INPUT"));
    assert_eq!(fixture.get("/v1/unknown").await.error(), error(404, "HTTP_NOT_FOUND"));
    let wrong = fixture.send(as_user("PATCH", "/v1/users/me").body(Body::empty()).unwrap()).await;
    assert_eq!(wrong.error(), error(405, "HTTP_METHOD_NOT_ALLOWED"));
    fixture.services.fail("ReserveTokens", tonic::Status::unavailable("restarting"));
    let outage = fixture.post(&messages, json!({ "message": "안녕" })).await;
    assert_eq!(outage.error(), error(503, "E50301"), "an outage is not a lack of tokens");
    fixture.services.fail("ReserveTokens", tonic::Status::resource_exhausted("locked"));
    assert_eq!(fixture.post(&messages, json!({ "message": "안녕" })).await.error(), error(429, "E42901"));
}

#[tokio::test]
async fn the_administrators_part_is_for_administrators() {
    let fixture = Fixture::new().await;
    let get = async |token: Option<String>| {
        let request = Request::get(format!("/v1/admin/users/{USER}"));
        let request =
            token.into_iter().fold(request, |it, token| it.header("Authorization", format!("Bearer {token}")));
        fixture.send(request.body(Body::empty()).unwrap()).await
    };
    assert_eq!(get(None).await.error(), error(401, "COOKIE_NOT_FOUND"));
    let user = get(Some(token(&claims()))).await;
    assert_eq!(user.status, 403);
    assert!(fixture.services.methods().is_empty(), "no service is asked");
    let mut claims = claims();
    claims["authority"] = json!("AUTHORITY_ADMIN");
    assert_eq!(get(Some(token(&claims))).await.status, 200);
}
