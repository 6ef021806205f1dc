//! The token endpoint of a provider: exchanges the code of a callback for an access token.
use super::{LoginError, OAuthClient, http::Http};
use oauth2::{
    AccessToken, AuthUrl, AuthorizationCode, Client, ClientId, ClientSecret, CsrfToken, EndpointNotSet, EndpointSet,
    PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, RefreshToken, RequestTokenError, Scope, StandardRevocableToken,
    TokenResponse, TokenUrl,
    basic::{
        BasicErrorResponse, BasicErrorResponseType, BasicRevocationErrorResponse, BasicTokenIntrospectionResponse,
        BasicTokenType,
    },
};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use url::Url;

/// The client of a provider whose endpoints are known.
type Endpoints = Client<
    BasicErrorResponse,
    Grant,
    BasicTokenIntrospectionResponse,
    StandardRevocableToken,
    BasicRevocationErrorResponse,
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointSet,
>;

/// A granted access token. Naver sends the lifetime as text, so it is not read: the token is used at once and forgotten.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Grant {
    access_token: AccessToken,
    #[serde(default = "bearer")]
    token_type: BasicTokenType,
}
fn bearer() -> BasicTokenType {
    BasicTokenType::Bearer
}
impl TokenResponse for Grant {
    type TokenType = BasicTokenType;
    fn access_token(&self) -> &AccessToken {
        &self.access_token
    }
    fn token_type(&self) -> &BasicTokenType {
        &self.token_type
    }
    fn expires_in(&self) -> Option<Duration> {
        None
    }
    fn refresh_token(&self) -> Option<&RefreshToken> {
        None
    }
    fn scopes(&self) -> Option<&Vec<Scope>> {
        None
    }
}

/// The OAuth endpoints of one provider.
pub(super) struct TokenEndpoint {
    client: Endpoints,
    http: Http,
}
impl TokenEndpoint {
    /// Creates the client. `paths` are those of the login page and of the token endpoint.
    pub(super) fn new(client: &OAuthClient, paths: (&str, &str), back: Url, http: Http) -> Self {
        let at = |path: &str| {
            let mut url = client.login.clone();
            url.set_path(path);
            url
        };
        let endpoints = Client::new(ClientId::new(client.id.clone()))
            .set_auth_uri(AuthUrl::from_url(at(paths.0)))
            .set_token_uri(TokenUrl::from_url(at(paths.1)))
            .set_redirect_uri(RedirectUrl::from_url(back))
            .set_auth_type(oauth2::AuthType::RequestBody);
        let client = match &client.secret {
            Some(secret) => endpoints.set_client_secret(ClientSecret::new(secret.expose().to_owned())),
            None => endpoints,
        };
        TokenEndpoint { client, http }
    }
    /// Returns the address of the login page, with the hash of the verifier when the provider has PKCE.
    pub(super) fn authorize(&self, state: &str, verifier: Option<&str>) -> Url {
        let state = state.to_owned();
        let request = self.client.authorize_url(|| CsrfToken::new(state));
        let challenge = verifier.map(|verifier| {
            let verifier = PkceCodeVerifier::new(verifier.to_owned());
            PkceCodeChallenge::from_code_verifier_sha256(&verifier)
        });
        match challenge {
            Some(challenge) => request.set_pkce_challenge(challenge).url().0,
            None => request.url().0,
        }
    }
    /// Exchanges a code. `extra` are parameters that only this provider knows.
    pub(super) async fn exchange(
        &self,
        code: String,
        verifier: Option<String>,
        extra: &[(&'static str, String)],
        is_refused: impl Fn(&BasicErrorResponseType) -> bool,
    ) -> Result<AccessToken, LoginError> {
        let mut request = self.client.exchange_code(AuthorizationCode::new(code));
        if let Some(verifier) = verifier {
            request = request.set_pkce_verifier(PkceCodeVerifier::new(verifier));
        }
        for (name, value) in extra {
            request = request.add_extra_param(*name, value.clone());
        }
        let sorted = |error: &BasicErrorResponse| {
            let text = error.error().as_ref().to_owned();
            if is_refused(error.error()) { LoginError::Refused(text) } else { LoginError::Failed(text) }
        };
        let send = |request| {
            let http = self.http.clone();
            async move { http.send(request).await }
        };
        match request.request_async(&send).await {
            Ok(grant) => Ok(grant.access_token),
            Err(RequestTokenError::ServerResponse(error)) => Err(sorted(&error)),
            // Naver sends errors with status 200.
            Err(RequestTokenError::Parse(_, body)) => match serde_json::from_slice::<BasicErrorResponse>(&body) {
                Ok(error) => Err(sorted(&error)),
                Err(_) => Err(LoginError::Failed("the token response is not what it should be".to_owned())),
            },
            Err(RequestTokenError::Request(error)) => Err(LoginError::Failed(error.to_string())),
            Err(RequestTokenError::Other(error)) => Err(LoginError::Failed(error)),
        }
    }
}
