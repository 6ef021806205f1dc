//! Login with the account of a provider (OAuth 2.0 authorization code): the port, and one adapter for each provider.
mod http;
mod kakao;
mod logins;
mod naver;
mod token;

pub(crate) use logins::Logins;

use crate::edge::Edge;
use async_trait::async_trait;
use contracts::v1::model::AuthChannel;
use cqrs_core::Secret;
use std::sync::Arc;
use url::Url;

/// A provider of accounts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProviderKind {
    /// 카카오.
    Kakao,
    /// 네이버.
    Naver,
}
impl ProviderKind {
    /// Returns the provider with this name in a path or in the settings.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        [ProviderKind::Kakao, ProviderKind::Naver].into_iter().find(|kind| kind.name() == name)
    }
    pub(crate) const fn name(self) -> &'static str {
        match self {
            ProviderKind::Kakao => "kakao",
            ProviderKind::Naver => "naver",
        }
    }
    /// Returns the base URL of the login.
    pub(crate) const fn login_url(self) -> &'static str {
        match self {
            ProviderKind::Kakao => "https://kauth.kakao.com",
            ProviderKind::Naver => "https://nid.naver.com",
        }
    }
    /// Returns the base URL of the API.
    pub(crate) const fn api_url(self) -> &'static str {
        match self {
            ProviderKind::Kakao => "https://kapi.kakao.com",
            ProviderKind::Naver => "https://openapi.naver.com",
        }
    }
    pub(crate) fn channel(self) -> AuthChannel {
        match self {
            ProviderKind::Kakao => AuthChannel::Kakao,
            ProviderKind::Naver => AuthChannel::Naver,
        }
    }
    /// Returns the code of the error of a provider that does not answer as it should.
    pub(crate) fn error_code(self) -> &'static str {
        match self {
            ProviderKind::Kakao => "KAKAO_PROCESSING_ERROR",
            ProviderKind::Naver => "NAVER_PROCESSING_ERROR",
        }
    }
}

/// The account of a person with a provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// The provider.
    pub provider: ProviderKind,
    /// The person's id with the provider.
    pub id: String,
}
impl Account {
    /// Parses `kakao:123456`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (provider, id) = text.split_once(':')?;
        let provider = ProviderKind::parse(provider)?;
        (!id.is_empty()).then(|| Account { provider, id: id.to_owned() })
    }
}

/// An application that is registered with a provider.
#[derive(Debug, Clone)]
pub struct OAuthClient {
    /// The client id.
    pub id: String,
    /// The client secret.
    pub secret: Option<Secret>,
    /// The base URL of the login.
    pub login: Url,
    /// The base URL of the API.
    pub api: Url,
}

/// The parameters of the callback, and the secret of this login.
pub(crate) struct Granted {
    pub(crate) code: String,
    pub(crate) state: String,
    /// The verifier of PKCE.
    pub(crate) verifier: String,
}

/// The reason why an account was not found out.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LoginError {
    /// The provider refuses the code: it has expired, was used, or belongs to another login.
    #[error("the provider refused the code: {0}")]
    Refused(String),
    /// The provider cannot be reached, is too slow, or sends a malformed answer.
    #[error("{0}")]
    Failed(String),
}

/// A provider of accounts, as the login needs it.
#[async_trait]
pub(crate) trait OAuthProvider: Send + Sync {
    /// Returns the address to which the browser is sent to log in.
    fn authorize(&self, state: &str, verifier: &str) -> Url;
    /// Exchanges the code for the id of the person's account.
    async fn account(&self, granted: Granted) -> Result<String, LoginError>;
}

/// The providers that are configured.
pub(crate) struct Providers {
    kakao: Option<Arc<dyn OAuthProvider>>,
    naver: Option<Arc<dyn OAuthProvider>>,
}
impl Providers {
    /// Creates the adapters. It fails when the machine cannot use TLS.
    pub(crate) fn new(edge: &Edge) -> Result<Self, String> {
        let (Some(public), true) = (&edge.public_url, edge.kakao.is_some() || edge.naver.is_some()) else {
            return Ok(Providers { kakao: None, naver: None });
        };
        let http = http::Http::new()?;
        let back = |kind: ProviderKind| {
            let mut url = public.clone();
            url.set_path(&format!("/v1/auth/callback/{}", kind.name()));
            url
        };
        let kakao = edge.kakao.clone().map(|client| kakao::Kakao::new(client, back(ProviderKind::Kakao), http.clone()));
        let naver = edge.naver.clone().map(|client| naver::Naver::new(client, back(ProviderKind::Naver), http.clone()));
        Ok(Providers {
            kakao: kakao.map(|adapter| Arc::new(adapter) as _),
            naver: naver.map(|adapter| Arc::new(adapter) as _),
        })
    }
    pub(crate) fn get(&self, kind: ProviderKind) -> Option<&Arc<dyn OAuthProvider>> {
        match kind {
            ProviderKind::Kakao => self.kakao.as_ref(),
            ProviderKind::Naver => self.naver.as_ref(),
        }
    }
}
