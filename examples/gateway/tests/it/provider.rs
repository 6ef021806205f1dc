//! The login providers of the tests: the settings of the gateway, and a browser on the login page.
use cqrs_core::Secret;
use gateway::OAuthClient;
use test_support::LoginProvider;
use url::Url;

/// Returns the settings of the application at this provider.
pub(crate) fn client(provider: &LoginProvider) -> OAuthClient {
    let (id, secret) = (LoginProvider::CLIENT.to_owned(), Some(Secret::new(LoginProvider::SECRET)));
    OAuthClient { id, secret, login: provider.url().clone(), api: provider.url().clone() }
}

/// Opens the login page as a browser does, and returns the address of the callback.
pub(crate) async fn open(provider: &LoginProvider, address: &str) -> Url {
    assert!(address.starts_with(provider.url().as_str()), "{address}");
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().build().unwrap();
    let response = client.get(address).send().await.unwrap();
    assert_eq!(response.status(), 302, "{response:?}");
    response.headers()["location"].to_str().unwrap().parse().unwrap()
}
