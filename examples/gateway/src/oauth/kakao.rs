//! The login with Kakao, with PKCE.
use super::{Granted, LoginError, OAuthClient, OAuthProvider, http::Http, token::TokenEndpoint};
use async_trait::async_trait;
use oauth2::basic::BasicErrorResponseType;
use serde::Deserialize;
use url::Url;

pub(super) struct Kakao {
    endpoint: TokenEndpoint,
    profile: Url,
    http: Http,
}
/// The part of the profile that is read.
#[derive(Deserialize)]
struct Profile {
    id: u64,
}
impl Kakao {
    pub(super) fn new(client: OAuthClient, back: Url, http: Http) -> Self {
        let mut profile = client.api.clone();
        profile.set_path("/v2/user/me");
        let endpoint = TokenEndpoint::new(&client, ("/oauth/authorize", "/oauth/token"), back, http.clone());
        Kakao { endpoint, profile, http }
    }
}
#[async_trait]
impl OAuthProvider for Kakao {
    fn authorize(&self, state: &str, verifier: &str) -> Url {
        self.endpoint.authorize(state, Some(verifier))
    }
    async fn account(&self, granted: Granted) -> Result<String, LoginError> {
        let refused = |error: &BasicErrorResponseType| *error == BasicErrorResponseType::InvalidGrant;
        let access = self.endpoint.exchange(granted.code, Some(granted.verifier), &[], refused).await?;
        let profile: Profile = self.http.profile(self.profile.clone(), access.secret()).await?;
        Ok(profile.id.to_string())
    }
}
