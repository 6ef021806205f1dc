//! The login with Naver. It has no PKCE; the token request repeats the state instead.
use super::{Granted, LoginError, OAuthClient, OAuthProvider, http::Http, token::TokenEndpoint};
use async_trait::async_trait;
use oauth2::basic::BasicErrorResponseType::{InvalidGrant, InvalidRequest};
use serde::Deserialize;
use url::Url;

/// The longest id of an account; Naver's have 43 characters.
const LONGEST: usize = 255;

pub(super) struct Naver {
    endpoint: TokenEndpoint,
    profile: Url,
    http: Http,
}
/// The part of the profile that is read.
#[derive(Deserialize)]
struct Profile {
    response: Person,
}
#[derive(Deserialize)]
struct Person {
    id: String,
}
impl Naver {
    pub(super) fn new(client: OAuthClient, back: Url, http: Http) -> Self {
        let mut profile = client.api.clone();
        profile.set_path("/v1/nid/me");
        let endpoint = TokenEndpoint::new(&client, ("/oauth2.0/authorize", "/oauth2.0/token"), back, http.clone());
        Naver { endpoint, profile, http }
    }
}
#[async_trait]
impl OAuthProvider for Naver {
    fn authorize(&self, state: &str, _: &str) -> Url {
        self.endpoint.authorize(state, None)
    }
    async fn account(&self, granted: Granted) -> Result<String, LoginError> {
        let state = [("state", granted.state)];
        // Naver calls an expired code an invalid request.
        let access = self
            .endpoint
            .exchange(granted.code, None, &state, |error| matches!(error, InvalidGrant | InvalidRequest))
            .await?;
        let profile: Profile = self.http.profile(self.profile.clone(), access.secret()).await?;
        let id = profile.response.id;
        let usable = !id.is_empty() && id.len() <= LONGEST;
        if usable { Ok(id) } else { Err(LoginError::Failed("the profile has no usable id".to_owned())) }
    }
}
