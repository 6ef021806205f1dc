//! The HTTP client for the providers: no redirects, a time limit, and a size limit.
use super::LoginError;
use axum::http;
use oauth2::{HttpRequest, HttpResponse};
use reqwest::{Client, Method, redirect};
use serde::de::DeserializeOwned;
use std::time::Duration;
use url::Url;

/// The time limit of one request.
const PATIENCE: Duration = Duration::from_secs(5);
/// The size limit of a response body, in bytes.
const LARGEST: usize = 64 * 1024;

#[derive(Debug, Clone)]
pub(super) struct Http(Client);

/// The error of a request. It names no URL, which may contain a code.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct HttpError(String);
impl From<reqwest::Error> for HttpError {
    fn from(error: reqwest::Error) -> Self {
        let timed_out = error.is_timeout();
        let error = error.without_url();
        HttpError(if timed_out { "the provider did not answer in time".to_owned() } else { error.to_string() })
    }
}

impl Http {
    pub(super) fn new() -> Result<Self, String> {
        let _ = rustls::crypto::ring::default_provider().install_default(); // fails when there is one already
        let client = Client::builder().timeout(PATIENCE).redirect(redirect::Policy::none());
        client.build().map(Http).map_err(|error| format!("the login needs a machine that can use TLS: {error}"))
    }
    /// Sends a request of the OAuth protocol.
    pub(super) async fn send(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let (parts, body) = request.into_parts();
        let method =
            Method::from_bytes(parts.method.as_str().as_bytes()).map_err(|error| HttpError(error.to_string()))?;
        let request = self.0.request(method, parts.uri.to_string()).headers(parts.headers).body(body);
        let (status, body) = read(request).await?;
        let mut response = http::Response::new(body);
        *response.status_mut() = status;
        Ok(response)
    }
    /// Reads the profile of the person who has this access token.
    pub(super) async fn profile<T: DeserializeOwned>(&self, url: Url, access_token: &str) -> Result<T, LoginError> {
        let failed = |error: HttpError| LoginError::Failed(format!("the profile could not be read: {error}"));
        let (status, body) = read(self.0.get(url).bearer_auth(access_token)).await.map_err(failed)?;
        if !status.is_success() {
            return Err(LoginError::Failed(format!("the profile could not be read: status {status}")));
        }
        // The cause would contain personal data.
        serde_json::from_slice(&body).map_err(|_| LoginError::Failed("the profile is not what it should be".to_owned()))
    }
}

async fn read(request: reqwest::RequestBuilder) -> Result<(http::StatusCode, Vec<u8>), HttpError> {
    let mut response = request.send().await?;
    let (status, mut body) = (response.status(), Vec::new());
    while let Some(chunk) = response.chunk().await? {
        body.extend(chunk);
        if body.len() > LARGEST {
            return Err(HttpError("the provider's response is too large".to_owned()));
        }
    }
    Ok((status, body))
}
