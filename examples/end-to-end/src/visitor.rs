//! A user of Hearlers in a browser: it keeps cookies, and sends a request that failed again, as the page does.
use crate::{
    Reply, messages_in,
    person::{consents, shows_tokens},
};
use anyhow::{Context, Result, ensure};
use reqwest::{
    Client, Method, RequestBuilder, StatusCode, Url,
    header::{CONTENT_TYPE, COOKIE, HeaderMap, LOCATION, SET_COOKIE},
    redirect::Policy,
};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use test_support::LoginProvider;
use uuid::Uuid;

/// The time for which a request is sent again. It is longer than the 30 s of an interrupted reply.
const PATIENCE: Duration = Duration::from_secs(120);
const PAUSE: Duration = Duration::from_millis(100);

/// A browser. Clones share its cookies.
#[derive(Debug, Clone)]
pub struct Visitor {
    http: Client,
    base: String,
    cookies: Arc<Mutex<BTreeMap<String, String>>>,
}

impl Visitor {
    /// Creates a browser without cookies.
    ///
    /// # Errors
    /// Fails when the HTTP client cannot be built.
    pub fn new(base: &str) -> Result<Visitor> {
        // The client requires a TLS provider although it sends only plain HTTP here.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = Client::builder().timeout(Duration::from_secs(75)).redirect(Policy::none()).no_proxy().build()?;
        Ok(Visitor { http, base: base.to_owned(), cookies: Arc::default() })
    }
    /// Creates a browser with a session of a new person.
    ///
    /// # Errors
    /// Fails when there is no session in time.
    pub async fn visit(base: &str) -> Result<Visitor> {
        let visitor = Visitor::new(base)?;
        visitor.begin_session().await?;
        Ok(visitor)
    }
    /// Begins a session, or renews the one that there is.
    ///
    /// # Errors
    /// Fails when the session is refused, or when there is no response in time.
    pub async fn begin_session(&self) -> Result<()> {
        self.ask(Method::POST, "/v1/auth/initiate", None, None).await?.data()?;
        Ok(())
    }

    /// Returns the value of a cookie.
    pub fn cookie(&self, name: &str) -> Option<String> {
        self.cookies().get(name).cloned()
    }
    /// Stores a cookie, as a browser that has copied it.
    pub fn set_cookie(&self, name: &str, value: &str) {
        self.cookies().insert(name.to_owned(), value.to_owned());
    }
    /// Removes a cookie.
    pub fn remove_cookie(&self, name: &str) {
        self.cookies().remove(name);
    }

    /// Sends a request once.
    ///
    /// # Errors
    /// Fails when there is no response, or one that is not JSON.
    pub async fn once(&self, method: Method, path: &str, body: Option<&Value>, key: Option<&str>) -> Result<Reply> {
        self.send(self.request(method, path, body, key)).await
    }
    /// Sends a request, and sends it again while another try may have another outcome.
    ///
    /// # Errors
    /// Fails when there is no final response in time.
    pub async fn ask(&self, method: Method, path: &str, body: Option<&Value>, key: Option<&str>) -> Result<Reply> {
        self.until_final(|| self.request(method.clone(), path, body, key)).await
    }
    /// Sends a GET request and returns the `data` of its envelope.
    ///
    /// # Errors
    /// Fails when the request is refused, or when there is no response in time.
    pub async fn get(&self, path: &str) -> Result<Value> {
        let reply = self.ask(Method::GET, path, None, None).await?;
        Ok(reply.data().with_context(|| path.to_owned())?.clone())
    }
    /// Sends a POST request with an idempotency key and returns the `data` of its envelope.
    ///
    /// # Errors
    /// Fails when the request is refused, or when there is no response in time.
    pub async fn post(&self, path: &str, body: Value, key: &str) -> Result<Value> {
        let reply = self.ask(Method::POST, path, Some(&body), Some(key)).await?;
        Ok(reply.data().with_context(|| path.to_owned())?.clone())
    }
    /// Sends a PUT request with an idempotency key and returns the `data` of its envelope.
    ///
    /// # Errors
    /// Fails when the request is refused, or when there is no response in time.
    pub async fn put(&self, path: &str, body: Value, key: &str) -> Result<Value> {
        let reply = self.ask(Method::PUT, path, Some(&body), Some(key)).await?;
        Ok(reply.data().with_context(|| path.to_owned())?.clone())
    }
    /// Uploads a file to a signed address.
    ///
    /// # Errors
    /// Fails when there is no final response in time.
    pub async fn upload(&self, path: &str, content_type: &str, bytes: &[u8]) -> Result<Reply> {
        let request = || self.request(Method::PUT, path, None, None).header(CONTENT_TYPE, content_type);
        self.until_final(|| request().body(bytes.to_vec())).await
    }
    /// Downloads a file and returns its type and its bytes. A download that failed begins again.
    ///
    /// # Errors
    /// Fails when the file does not load in time.
    pub async fn download(&self, path: &str) -> Result<(String, Vec<u8>)> {
        let began = Instant::now();
        loop {
            match self.download_once(path).await {
                Ok(file) => return Ok(file),
                Err(error) => ensure!(began.elapsed() < PATIENCE, "{path} does not load: {error:#}"),
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
    async fn download_once(&self, path: &str) -> Result<(String, Vec<u8>)> {
        let response = self.request(Method::GET, path, None, None).send().await?.error_for_status()?;
        let content_type = response.headers().get(CONTENT_TYPE).context("no type")?.to_str()?.to_owned();
        Ok((content_type, response.bytes().await?.to_vec()))
    }

    /// Begins a login in the session that there is, and returns the path of the callback with its query.
    ///
    /// # Errors
    /// Fails when the gateway or the provider does not redirect.
    pub async fn begin_login(&self, provider: &LoginProvider, account: &str) -> Result<String> {
        let mut begin: Url = format!("{}/v1/auth/login/{}", self.base, provider.name()).parse()?;
        begin.query_pairs_mut().append_pair("redirect-url", &self.page());
        let begun = self.ask(Method::GET, &path_of(&begin), None, None).await?;
        let page = begun.location.as_deref().filter(|page| page.starts_with(provider.url().as_str()));
        let page = page.with_context(|| format!("the browser is not sent to the provider: {begun:?}"))?;
        let granted = self.http.get(page).header(COOKIE, format!("account={account}")).send().await?;
        let callback = granted.headers().get(LOCATION).context("the provider does not redirect")?.to_str()?;
        Ok(path_of(&callback.parse()?))
    }
    /// Follows the redirect to the callback of a login. A page that did not load is loaded again.
    ///
    /// # Errors
    /// Fails when there is no response in time.
    pub async fn finish_login(&self, callback: &str) -> Result<Reply> {
        let began = Instant::now();
        loop {
            match self.once(Method::GET, callback, None, None).await {
                Ok(reply) => return Ok(reply),
                Err(error) => ensure!(began.elapsed() < PATIENCE, "the callback does not load: {error:#}"),
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
    /// Logs in with an account of a provider. A login that has failed is begun again.
    ///
    /// # Errors
    /// Fails when the login is refused, or does not succeed in time.
    pub async fn log_in(&self, provider: &LoginProvider, account: &str) -> Result<()> {
        let began = Instant::now();
        loop {
            let callback = self.begin_login(provider, account).await?;
            let reply = self.finish_login(&callback).await?;
            if reply.status == StatusCode::FOUND && reply.location == Some(self.page()) {
                return Ok(());
            }
            // The code and the state of a callback that broke off are used up.
            let broke_off = matches!(reply.code(), "LOGIN_FAILED" | "LOGIN_STATE_INVALID");
            ensure!(broke_off || may_be_repeated(&reply), "the login is refused: {reply:?}");
            ensure!(began.elapsed() < PATIENCE, "the login does not succeed in time: {reply:?}");
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Returns the id of the session's person.
    ///
    /// # Errors
    /// Fails when the profile cannot be read.
    pub async fn id(&self) -> Result<String> {
        let me = self.get("/v1/users/me").await?;
        Ok(me["user"]["id"].as_str().context("no id")?.to_owned())
    }
    /// Consents to the processing of messages, also by a language model.
    ///
    /// # Errors
    /// Fails when the request is refused.
    pub async fn consent(&self) -> Result<()> {
        for consent in consents() {
            self.post("/v1/users/me/consents", consent, &Uuid::now_v7().to_string()).await?;
        }
        Ok(())
    }
    /// Returns the messages of a counsel in order. The flag is true for the user's own messages.
    ///
    /// # Errors
    /// Fails when the messages cannot be read.
    pub async fn messages(&self, counsel: &str) -> Result<Vec<(bool, String)>> {
        messages_in(&self.get(&format!("{counsel}/messages")).await?["counselMessages"])
    }
    /// Waits until the wallet shows this number of tokens and no reservation.
    ///
    /// # Errors
    /// Fails when the wallet does not show it in time.
    pub async fn has_tokens(&self, remaining: i64) -> Result<()> {
        let began = Instant::now();
        loop {
            let me = self.get("/v1/users/me").await?;
            if shows_tokens(&me, remaining) {
                return Ok(());
            }
            ensure!(began.elapsed() < PATIENCE, "the wallet should have {remaining} tokens: {me}");
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Returns the address to which a login returns.
    fn page(&self) -> String {
        format!("{}/", self.base)
    }
    fn cookies(&self) -> MutexGuard<'_, BTreeMap<String, String>> {
        self.cookies.lock().unwrap_or_else(PoisonError::into_inner)
    }
    fn request(&self, method: Method, path: &str, body: Option<&Value>, key: Option<&str>) -> RequestBuilder {
        // Without the first header, a write with cookies may come from another site.
        let mut request = self.http.request(method, format!("{}{path}", self.base)).header("X-Requested-With", "test");
        let cookies: Vec<_> = self.cookies().iter().map(|(name, value)| format!("{name}={value}")).collect();
        if !cookies.is_empty() {
            request = request.header(COOKIE, cookies.join("; "));
        }
        if let Some(key) = key {
            request = request.header("Idempotency-Key", key);
        }
        match body {
            Some(body) => request.json(body),
            None => request,
        }
    }
    async fn send(&self, request: RequestBuilder) -> Result<Reply> {
        let response = request.send().await?;
        self.keep_cookies(response.headers());
        Reply::read(response).await
    }
    async fn until_final(&self, request: impl Fn() -> RequestBuilder) -> Result<Reply> {
        let began = Instant::now();
        loop {
            match self.send(request()).await {
                Ok(reply) if !may_be_repeated(&reply) => return Ok(reply),
                open => ensure!(began.elapsed() < PATIENCE, "no final response in time: {open:?}"),
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
    fn keep_cookies(&self, headers: &HeaderMap) {
        let lines = headers.get_all(SET_COOKIE).iter().filter_map(|line| line.to_str().ok());
        let pairs = lines.filter_map(|line| line.split(';').next()?.split_once('='));
        for (name, value) in pairs {
            if value.is_empty() {
                self.remove_cookie(name);
            } else {
                self.set_cookie(name, value);
            }
        }
    }
}

/// Returns whether the page would send the request again: no service has refused it.
fn may_be_repeated(reply: &Reply) -> bool {
    let is_late = reply.status.is_server_error() || reply.status == StatusCode::TOO_MANY_REQUESTS;
    is_late || reply.code() == "E40902"
}

fn path_of(url: &Url) -> String {
    format!("{}?{}", url.path(), url.query().unwrap_or_default())
}
