//! A user of Hearlers, as an HTTP client.
use anyhow::{Context, Result, ensure};
use contracts::CONSENT_TEXT_VERSION;
use reqwest::{
    Client, Method, Response, StatusCode,
    header::{LOCATION, RETRY_AFTER},
};
use serde_json::{Value, json};
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

/// The header with which the gateway returns the consistency token, and in which a client sends it back.
const CONSISTENCY_TOKEN: &str = "hearlers-consistency-token";

/// A user with a session.
#[derive(Debug, Clone)]
pub struct Person {
    http: Client,
    base: String,
    token: String,
    /// The consistency token of the last response, for a user who reads their own writes.
    seen: Option<Arc<Mutex<Option<String>>>>,
}
/// The response to a request.
#[derive(Debug, Clone)]
pub struct Reply {
    pub status: StatusCode,
    /// The target of a redirect.
    pub location: Option<String>,
    /// The header `Retry-After` of an error that passes.
    pub retry_after: Option<String>,
    /// The JSON envelope; null when the body is empty.
    pub body: Value,
}
impl Reply {
    /// Reads a response.
    pub(crate) async fn read(response: Response) -> Result<Reply> {
        let status = response.status();
        let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let (location, retry_after) = (header(LOCATION), header(RETRY_AFTER));
        let text = response.text().await?;
        let body = match text.as_str() {
            "" => Value::Null,
            text => serde_json::from_str(text).with_context(|| format!("{status}: {text}"))?,
        };
        Ok(Reply { status, location, retry_after, body })
    }
    /// Returns the `data` of the envelope.
    ///
    /// # Errors
    /// Fails when the status is not a success.
    pub fn data(&self) -> Result<&Value> {
        ensure!(self.status.is_success(), "{}: {}", self.status, self.body);
        Ok(&self.body["data"])
    }
    /// Returns the code of an error.
    pub fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or_default()
    }
    /// Returns the status and the code of an error.
    pub fn error(&self) -> (u16, &str) {
        (self.status.as_u16(), self.code())
    }
}

/// Returns the bodies of the consents to the processing of messages, also by a language model.
pub(crate) fn consents() -> [Value; 2] {
    ["CONSENT_KIND_SENSITIVE_DATA", "CONSENT_KIND_FOREIGN_MODEL"]
        .map(|kind| json!({ "kind": kind, "textVersion": CONSENT_TEXT_VERSION, "birthday": "1990-01-01" }))
}

/// Reads a list of messages in order. The flag is true for the user's own messages.
///
/// # Errors
/// Fails when the value is not a list of messages.
pub fn messages_in(list: &Value) -> Result<Vec<(bool, String)>> {
    let messages = list.as_array().context("no messages")?;
    let read = |message: &Value| Some((message["isUserMessage"].as_bool()?, message["message"].as_str()?.to_owned()));
    messages.iter().map(|value| read(value).with_context(|| format!("not a message: {value}"))).collect()
}

/// Returns whether a profile shows this number of tokens and no reservation.
pub(crate) fn shows_tokens(me: &Value, remaining: i64) -> bool {
    let wallet = &me["messageTokens"];
    wallet["remaining"] == remaining && wallet["reserved"] != true
}

impl Person {
    /// Starts a session as a new user.
    ///
    /// # Errors
    /// Fails when there is no response, or one without an access token.
    pub async fn visit(base: &str) -> Result<Person> {
        // The client requires a TLS provider although it sends only plain HTTP here.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = Client::builder().timeout(Duration::from_secs(60)).build()?;
        let mut person = Person { http, base: base.to_owned(), token: String::new(), seen: None };
        let reply = person.ask(Method::POST, "/v1/auth/initiate", None, None).await?;
        person.token = reply.data()?["accessToken"].as_str().context("no access token")?.to_owned();
        person.consent().await?;
        Ok(person)
    }
    /// Returns the same user, who from now on sends the consistency token of the last response with each request, as the
    /// page does.
    pub fn reading_own_writes(self) -> Person {
        Person { seen: Some(Arc::default()), ..self }
    }
    /// Consents to the processing of messages, also by a language model.
    ///
    /// # Errors
    /// Fails when the request is refused.
    pub async fn consent(&self) -> Result<()> {
        for consent in consents() {
            self.ask(Method::POST, "/v1/users/me/consents", Some(consent), None).await?.data()?;
        }
        Ok(())
    }
    /// Returns the same user with another base URL, for the time after a restart.
    pub fn at(&self, base: &str) -> Person {
        Person { base: base.to_owned(), ..self.clone() }
    }
    /// Sends a request with the session's token and, if given, an idempotency key.
    ///
    /// # Errors
    /// Fails when there is no response, or one that is not JSON.
    pub async fn ask(&self, method: Method, path: &str, body: Option<Value>, key: Option<&str>) -> Result<Reply> {
        let mut request = self.http.request(method, format!("{}{path}", self.base)).header("X-Session", "bearer");
        if !self.token.is_empty() {
            request = request.bearer_auth(&self.token);
        }
        if let Some(key) = key {
            request = request.header("Idempotency-Key", key);
        }
        if let Some(body) = body {
            request = request.json(&body);
        }
        let Some(seen) = &self.seen else { return Reply::read(request.send().await?).await };
        let known = seen.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(known) = known {
            request = request.header(CONSISTENCY_TOKEN, known);
        }
        let response = request.send().await?;
        if let Some(token) = response.headers().get(CONSISTENCY_TOKEN).and_then(|token| token.to_str().ok()) {
            *seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(token.to_owned());
        }
        Reply::read(response).await
    }
    /// Sends a GET request and returns the `data` of its envelope.
    ///
    /// # Errors
    /// Fails when the status is not a success.
    pub async fn get(&self, path: &str) -> Result<Value> {
        Ok(self.ask(Method::GET, path, None, None).await?.data()?.clone())
    }
    /// Returns the id of the first counsellor.
    ///
    /// # Errors
    /// Fails when there is no counsellor.
    pub async fn a_counselor(&self) -> Result<String> {
        let all = self.get("/v1/counselors").await?;
        Ok(all["counselors"][0]["id"].as_str().context("no counsellor")?.to_owned())
    }
    /// Opens a counsel without a bubble and returns its path.
    ///
    /// # Errors
    /// Fails when the request is refused.
    pub async fn open_counsel(&self, counselor: &str) -> Result<String> {
        let path = format!("/v1/counselors/{counselor}/counsels");
        let opened = self.ask(Method::POST, &path, Some(json!({})), None).await?;
        let id = opened.data()?["counsel"]["id"].as_str().context("no counsel")?.to_owned();
        Ok(format!("{path}/{id}"))
    }
    /// Sends a message with an idempotency key.
    ///
    /// # Errors
    /// Fails when there is no response.
    pub async fn send_message(&self, counsel: &str, text: &str, key: &str) -> Result<Reply> {
        self.ask(Method::POST, &format!("{counsel}/messages"), Some(json!({ "message": text })), Some(key)).await
    }
    /// Sends a message with the same idempotency key until it succeeds.
    ///
    /// # Errors
    /// Fails when it does not succeed within `patience`.
    pub async fn send_message_until_accepted(
        &self,
        counsel: &str,
        text: &str,
        key: &str,
        patience: Duration,
    ) -> Result<Value> {
        let began = Instant::now();
        loop {
            let reply = self.send_message(counsel, text, key).await;
            if let Ok(Ok(data)) = reply.as_ref().map(Reply::data) {
                return Ok(data.clone());
            }
            ensure!(began.elapsed() < patience, "the message {text:?} was not accepted in time: {reply:?}");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
    /// Returns the messages of a counsel in order. The flag is true for the user's own messages.
    ///
    /// # Errors
    /// Fails when the messages cannot be read.
    pub async fn messages(&self, counsel: &str) -> Result<Vec<(bool, String)>> {
        messages_in(&self.get(&format!("{counsel}/messages")).await?["counselMessages"])
    }
    /// Reads the messages of a counsel as [`messages`](Person::messages) does, again and again until the read succeeds.
    ///
    /// # Errors
    /// Fails when no read succeeds within `patience`.
    pub async fn messages_within(&self, counsel: &str, patience: Duration) -> Result<Vec<(bool, String)>> {
        let began = Instant::now();
        loop {
            match self.messages(counsel).await {
                Err(_) if began.elapsed() < patience => tokio::time::sleep(Duration::from_millis(100)).await,
                read => return read,
            }
        }
    }
    /// Waits until the wallet shows this number of tokens and no reservation.
    ///
    /// # Errors
    /// Fails when the wallet does not show it within `patience`.
    pub async fn has_tokens(&self, remaining: i64, patience: Duration) -> Result<()> {
        let began = Instant::now();
        loop {
            let me = self.get("/v1/users/me").await;
            if me.as_ref().is_ok_and(|me| shows_tokens(me, remaining)) {
                return Ok(());
            }
            ensure!(began.elapsed() < patience, "the wallet should have {remaining} tokens: {me:?}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}
