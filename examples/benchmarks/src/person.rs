//! A person who uses the REST API as a browser does: with cookies, on kept connections.
use crate::jar::CookieJar;
use anyhow::{Context, Result, ensure};
use reqwest::{
    Client, Method,
    header::{CONTENT_TYPE, COOKIE},
};
use serde_json::{Value, json};
use std::time::Duration;

/// Longer than any call of a healthy system takes.
const TIMEOUT: Duration = Duration::from_secs(60);
/// The messages that a new person's wallet pays for.
pub(crate) const MESSAGES: u64 = 7;
/// What a person says. Its topic has an answer in the offline responder's table.
const TEXT: &str = "요즘 회사 일이 너무 많아서 잠을 잘 못 자고 있어요. 어떻게 하면 좋을까요?";

/// The address of a REST API, and the connections to it.
#[derive(Debug, Clone)]
pub(crate) struct Api {
    client: Client,
    base: String,
}
impl Api {
    /// Connects when it is first used; at most one idle connection per caller is kept.
    pub(crate) fn new(base: impl Into<String>) -> Result<Api> {
        let client = Client::builder().tcp_nodelay(true).no_proxy().timeout(TIMEOUT).build()?;
        Ok(Api { client, base: base.into() })
    }
    /// Whether the system behind it answers and has counsellors to talk to.
    pub(crate) async fn is_ready(&self) -> bool {
        let Ok(mut person) = Person::visit(self).await else { return false };
        person.a_counselor().await.is_ok()
    }
}

/// Sizes of a request's and a response's body, and the response's data.
pub(crate) struct Reply {
    pub(crate) data: Value,
    pub(crate) sent: usize,
    pub(crate) received: usize,
}

/// Somebody with a session.
#[derive(Debug, Clone)]
pub(crate) struct Person {
    api: Api,
    cookies: CookieJar,
    updates: u32,
    /// The path of the open counsel's messages.
    messages: Option<String>,
}
impl Person {
    /// A first visit, which creates the person.
    pub(crate) async fn visit(api: &Api) -> Result<Person> {
        Ok(Person::visit_sized(api).await?.0)
    }
    /// A first visit, with its reply.
    pub(crate) async fn visit_sized(api: &Api) -> Result<(Person, Reply)> {
        let mut person = Person { api: api.clone(), cookies: CookieJar::default(), updates: 0, messages: None };
        let reply = person.ask(Method::POST, "/v1/auth/initiate", None).await?;
        Ok((person, reply))
    }
    /// Reads who the person is and what their wallet holds.
    pub(crate) async fn read(&mut self) -> Result<Reply> {
        self.ask(Method::GET, "/v1/users/me", None).await
    }
    /// Changes four fields of the profile. No two updates in a row are the same, so each one changes something.
    pub(crate) async fn update(&mut self) -> Result<Reply> {
        self.updates += 1;
        let body = json!({
            "profileImage": format!("https://images.example.com/people/{}.png", self.updates),
            "gender": "GENDER_FEMALE",
            "mbti": "MBTI_INFP",
            "birthYear": 1960 + self.updates % 40,
        });
        self.ask(Method::PUT, "/v1/users/me", Some(body)).await
    }
    /// Opens a counsel with the first counsellor, with a greeting.
    pub(crate) async fn open_counsel(&mut self) -> Result<()> {
        let counselor = self.a_counselor().await?;
        let path = format!("/v1/counselors/{counselor}/counsels");
        let opened = self.ask(Method::POST, &path, Some(json!({}))).await?;
        let counsel = opened.data["counsel"]["id"].as_str().context("the response names no counsel")?;
        self.messages = Some(format!("{path}/{counsel}/messages"));
        Ok(())
    }
    /// Sends a message in the open counsel and waits for the reply.
    pub(crate) async fn send_message(&mut self) -> Result<Reply> {
        let path = self.messages.clone().context("no counsel is open")?;
        self.ask(Method::POST, &path, Some(json!({ "message": TEXT }))).await
    }
    async fn a_counselor(&mut self) -> Result<String> {
        let found = self.ask(Method::GET, "/v1/counselors", None).await?;
        Ok(found.data["counselors"][0]["id"].as_str().context("there is no counsellor")?.to_owned())
    }
    async fn ask(&mut self, method: Method, path: &str, body: Option<Value>) -> Result<Reply> {
        let mut request = self.api.client.request(method, format!("{}{path}", self.api.base));
        if let Some(cookies) = self.cookies.header() {
            request = request.header(COOKIE, cookies);
        }
        let body = body.map(|body| serde_json::to_vec(&body)).transpose()?.unwrap_or_default();
        let sent = body.len();
        if sent > 0 {
            request = request.header(CONTENT_TYPE, "application/json").body(body);
        }
        let response = request.send().await?;
        let status = response.status();
        self.cookies.keep(response.headers())?;
        let bytes = response.bytes().await?;
        ensure!(status.is_success(), "{path}: {status}: {}", String::from_utf8_lossy(&bytes));
        let mut envelope: Value = serde_json::from_slice(&bytes)?;
        Ok(Reply { data: envelope["data"].take(), sent, received: bytes.len() })
    }
}
