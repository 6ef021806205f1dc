//! The web page's files: all there, and nothing else may run in it.
use crate::world::World;
use axum::{body::Body, http::Request};

async fn get(world: &World, path: &str) -> crate::world::Answer {
    world.send(Request::get(path).body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn the_page_is_there_and_so_is_all_it_names() {
    let world = World::new().await;
    let page = get(&world, "/").await;
    assert_eq!(page.status, 200);
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
    assert!(page.text.contains("lang=\"ko\""));
    let mut named = vec!["/assets/style.css".to_owned(), "/assets/main.js".to_owned()];
    assert!(named.iter().all(|path| page.text.contains(path.as_str())));
    while let Some(path) = named.pop() {
        let file = get(&world, &path).await;
        assert_eq!(file.status, 200, "{path}");
        let kind = if path.ends_with(".js") { "text/javascript; charset=utf-8" } else { "text/css; charset=utf-8" };
        assert_eq!(file.header("content-type"), Some(kind));
        named.extend(
            file.text.split("from \"./").skip(1).map(|it| format!("/assets/{}", it.split('"').next().unwrap())),
        );
    }
}

#[tokio::test]
async fn only_files_of_our_own_run_in_the_page() {
    let world = World::new().await;
    let page = get(&world, "/").await;
    let policy = page.header("content-security-policy").unwrap();
    for rule in
        ["default-src 'none'", "script-src 'self'", "style-src 'self'", "base-uri 'none'", "frame-ancestors 'none'"]
    {
        assert!(policy.contains(rule), "{policy}");
    }
    assert!(!policy.contains("unsafe"));
    assert_eq!(page.header("x-content-type-options"), Some("nosniff"));
    // Neither inline scripts and styles, which the policy would stop, nor text that becomes markup, nor anything from elsewhere.
    for file in ["/", "/assets/main.js", "/assets/api.js", "/assets/home.js", "/assets/chat.js", "/assets/dom.js"] {
        let text = get(&world, file).await.text;
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
