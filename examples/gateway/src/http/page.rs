//! The web page: static files compiled into the program.
use crate::http::Gateway;
use axum::{Router, http::header, response::IntoResponse, routing::get};

/// Allows only scripts and styles of these files, so that injected markup cannot run anything.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
     img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

pub(super) fn routes() -> Router<Gateway> {
    let files: [(&str, &str, &'static str); 9] = [
        ("/", "text/html", include_str!("../../page/index.html")),
        ("/assets/style.css", "text/css", include_str!("../../page/style.css")),
        ("/assets/main.js", "text/javascript", include_str!("../../page/main.js")),
        ("/assets/api.js", "text/javascript", include_str!("../../page/api.js")),
        ("/assets/home.js", "text/javascript", include_str!("../../page/home.js")),
        ("/assets/chat.js", "text/javascript", include_str!("../../page/chat.js")),
        ("/assets/consent.js", "text/javascript", include_str!("../../page/consent.js")),
        ("/assets/help.js", "text/javascript", include_str!("../../page/help.js")),
        ("/assets/dom.js", "text/javascript", include_str!("../../page/dom.js")),
    ];
    files
        .into_iter()
        .fold(Router::new(), |router, (path, kind, text)| router.route(path, get(async move || file(kind, text))))
}

fn file(kind: &str, text: &'static str) -> impl IntoResponse {
    let headers = [
        (header::CONTENT_TYPE, format!("{kind}; charset=utf-8")),
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY.to_owned()),
        (header::CACHE_CONTROL, "no-cache".to_owned()), // a new gateway brings a new page
    ];
    (headers, text)
}
