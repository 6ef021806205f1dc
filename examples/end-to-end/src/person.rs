//! Somebody who uses Hearlers over HTTP.
use anyhow::{Context, Result, ensure};
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// Somebody with a session.
#[derive(Debug, Clone)]
pub struct Person {
    http: Client,
    base: String,
    token: String,
}
/// How a request was answered.
#[derive(Debug, Clone)]
pub struct Reply {
    /// HTTP status.
    pub status: StatusCode,
    /// The envelope.
    pub body: Value,
}
impl Reply {
    /// The envelope's data, of an answer that says it was done.
    ///
    /// # Errors
    /// When it was not.
    pub fn data(&self) -> Result<&Value> {
        ensure!(self.status.is_success(), "{}: {}", self.status, self.body);
        Ok(&self.body["data"])
    }
}

impl Person {
    /// A first visit.
    ///
    /// # Errors
    /// When there is no answer, or none with a token.
    pub async fn visit(base: &str) -> Result<Person> {
        // Only plain HTTP is spoken here, but the client wants to know how it would encrypt.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = Client::builder().timeout(Duration::from_secs(60)).build()?;
        let mut person = Person { http, base: base.to_owned(), token: String::new() };
        let reply = person.ask(Method::POST, "/v1/auth/initiate", None, None).await?;
        person.token = reply.data()?["accessToken"].as_str().context("no access token")?.to_owned();
        Ok(person)
    }
    /// The same person at another address, after a restart.
    pub fn at(&self, base: &str) -> Person {
        Person { base: base.to_owned(), ..self.clone() }
    }
    /// Any request, with the session and an idempotency key if given.
    ///
    /// # Errors
    /// When there is no answer, or none that is JSON.
    pub async fn ask(&self, method: Method, path: &str, body: Option<Value>, key: Option<&str>) -> Result<Reply> {
        let mut request = self.http.request(method, format!("{}{path}", self.base));
        if !self.token.is_empty() {
            request = request.bearer_auth(&self.token);
        }
        if let Some(key) = key {
            request = request.header("Idempotency-Key", key);
        }
        if let Some(body) = body {
            request = request.json(&body);
        }
        let response = request.send().await?;
        let status = response.status();
        let text = response.text().await?;
        let body = serde_json::from_str(&text).with_context(|| format!("{status}: {text}"))?;
        Ok(Reply { status, body })
    }
    /// The data of a GET that works.
    ///
    /// # Errors
    /// When it does not.
    pub async fn get(&self, path: &str) -> Result<Value> {
        Ok(self.ask(Method::GET, path, None, None).await?.data()?.clone())
    }
    /// The first counsellor's id.
    ///
    /// # Errors
    /// When there is none.
    pub async fn a_counselor(&self) -> Result<String> {
        let all = self.get("/v1/counselors").await?;
        Ok(all["counselors"][0]["id"].as_str().context("no counsellor")?.to_owned())
    }
    /// Opens a counsel without a bubble; the path of the counsel.
    ///
    /// # Errors
    /// When it does not work.
    pub async fn open_counsel(&self, counselor: &str) -> Result<String> {
        let path = format!("/v1/counselors/{counselor}/counsels");
        let opened = self.ask(Method::POST, &path, Some(json!({})), None).await?;
        let id = opened.data()?["counsel"]["id"].as_str().context("no counsel")?.to_owned();
        Ok(format!("{path}/{id}"))
    }
    /// Sends a message with a key.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn say(&self, counsel: &str, text: &str, key: &str) -> Result<Reply> {
        self.ask(Method::POST, &format!("{counsel}/messages"), Some(json!({ "message": text })), Some(key)).await
    }
    /// Sends it with the same key until it is done.
    ///
    /// # Errors
    /// When it is not done in time.
    pub async fn say_until_done(&self, counsel: &str, text: &str, key: &str, patience: Duration) -> Result<Value> {
        let began = Instant::now();
        loop {
            let reply = self.say(counsel, text, key).await;
            if let Ok(Ok(data)) = reply.as_ref().map(Reply::data) {
                return Ok(data.clone());
            }
            ensure!(began.elapsed() < patience, "{text:?} is not done: {reply:?}");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
    /// What was said in a counsel: (whether by the person, text), in order.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn said(&self, counsel: &str) -> Result<Vec<(bool, String)>> {
        let found = self.get(&format!("{counsel}/messages")).await?;
        let messages = found["counselMessages"].as_array().context("no messages")?.clone();
        let read = |it: &Value| Some((it["isUserMessage"].as_bool()?, it["message"].as_str()?.to_owned()));
        messages.iter().map(|it| read(it).with_context(|| format!("not a message: {it}"))).collect()
    }
    /// Waits until the wallet shows this many tokens and nothing reserved.
    ///
    /// # Errors
    /// When it does not in time.
    pub async fn has_tokens(&self, remaining: i64, patience: Duration) -> Result<()> {
        let began = Instant::now();
        loop {
            let me = self.get("/v1/users/me").await;
            let wallet = me.as_ref().map(|me| me["messageTokens"].clone()).unwrap_or_default();
            if wallet["remaining"] == remaining && wallet["reserved"] != true {
                return Ok(());
            }
            ensure!(began.elapsed() < patience, "the wallet should have {remaining} tokens: {me:?}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}
