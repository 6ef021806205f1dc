//! Tests of the web page's files and its content security policy.
use crate::fixture::Fixture;
use axum::{body::Body, http::Request};

const FILES: [&str; 8] = [
    "/",
    "/assets/main.js",
    "/assets/api.js",
    "/assets/home.js",
    "/assets/chat.js",
    "/assets/consent.js",
    "/assets/help.js",
    "/assets/dom.js",
];

async fn get(fixture: &Fixture, path: &str) -> crate::fixture::Answer {
    fixture.send(Request::get(path).body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn the_page_and_all_files_it_references_are_served() {
    let fixture = Fixture::new().await;
    let page = get(&fixture, "/").await;
    assert_eq!(page.status, 200);
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
    assert!(page.text.contains("lang=\"ko\""));
    let mut named = vec!["/assets/style.css".to_owned(), "/assets/main.js".to_owned()];
    assert!(named.iter().all(|path| page.text.contains(path.as_str())));
    while let Some(path) = named.pop() {
        let file = get(&fixture, &path).await;
        assert_eq!(file.status, 200, "{path}");
        let kind = if path.ends_with(".js") { "text/javascript; charset=utf-8" } else { "text/css; charset=utf-8" };
        assert_eq!(file.header("content-type"), Some(kind));
        named.extend(
            file.text.split("from \"./").skip(1).map(|import| format!("/assets/{}", import.split('"').next().unwrap())),
        );
    }
}

#[tokio::test]
async fn the_page_runs_only_its_own_files() {
    let fixture = Fixture::new().await;
    let page = get(&fixture, "/").await;
    let policy = page.header("content-security-policy").unwrap();
    for rule in
        ["default-src 'none'", "script-src 'self'", "style-src 'self'", "base-uri 'none'", "frame-ancestors 'none'"]
    {
        assert!(policy.contains(rule), "{policy}");
    }
    assert!(!policy.contains("unsafe"));
    assert_eq!(page.header("x-content-type-options"), Some("nosniff"));
    // No inline scripts or styles (the policy would block them), no text that becomes markup, and no foreign resources.
    for file in FILES {
        let text = get(&fixture, file).await.text;
        for never in [
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "eval(",
            " style=",
            "onclick=\"",
            "https://",
        ] {
            assert!(!text.contains(never), "{file}: {never}");
        }
    }
}

#[tokio::test]
async fn the_page_says_that_the_counsellor_is_an_ai_and_names_help_and_draws_its_icons() {
    let fixture = Fixture::new().await;
    let page = get(&fixture, "/").await.text;
    let (_, footer) = page.split_once("<footer id=\"help\">").unwrap();
    assert!(footer.contains("AI") && footer.contains("tel:109"));
    for file in FILES {
        let text = get(&fixture, file).await.text;
        let emoji = text.chars().find(|character| ('\u{1f000}'..='\u{1faff}').contains(character));
        assert_eq!(emoji, None, "{file}: an emoji is an empty box where no font has it");
    }
}

/// A consent to another version does not count, so the page would ask for ever.
#[tokio::test]
async fn the_page_asks_for_consent_to_the_current_text() {
    let version = format!("const TEXT_VERSION = \"{}\";", contracts::CONSENT_TEXT_VERSION);
    assert!(get(&Fixture::new().await, "/assets/consent.js").await.text.contains(&version), "{version}");
}
