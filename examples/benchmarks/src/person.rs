//! A person who uses the REST API as a browser does, with cookies and on kept connections, and checks each response.
use crate::{events::Events, jar::CookieJar};
use anyhow::{Context, Result, ensure};
use reqwest::{
    Client, Method, RequestBuilder,
    header::{CONTENT_TYPE, COOKIE},
};
use serde_json::{Value, json};
use std::time::Duration;

/// The time limit of a call, longer than any call of a healthy system takes.
const TIMEOUT: Duration = Duration::from_secs(60);
/// The number of messages that a new person's wallet pays for.
pub(crate) const MESSAGES: u64 = 7;
/// The text of each message. The offline responder has replies to its topic.
const TEXT: &str = "요즘 회사 일이 너무 많아서 잠을 잘 못 자고 있어요. 어떻게 하면 좋을까요?";

/// The reaction to a reply.
pub(crate) const LIKE: &str = "COUNSEL_MESSAGE_REACTION_LIKE";
/// The time limit of a stream of events, longer than any run.
const LONGEST_STREAM: Duration = Duration::from_secs(3600);

/// The address of a REST API and the connections to it.
#[derive(Debug, Clone)]
pub(crate) struct Api {
    client: Client,
    base: String,
}
impl Api {
    /// Creates a client without connecting. It keeps a connection for each concurrent caller.
    pub(crate) fn new(base: impl Into<String>) -> Result<Api> {
        let client = Client::builder().tcp_nodelay(true).no_proxy().timeout(TIMEOUT).build()?;
        Ok(Api { client, base: base.into() })
    }
    /// Returns `true` when the system responds and has a counsellor.
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

impl Reply {
    /// Fails with the response when it is not as expected.
    fn expect(&self, condition: bool, expected: &str) -> Result<()> {
        ensure!(condition, "expected {expected}, received {}", self.data);
        Ok(())
    }
}

/// A person with a session.
#[derive(Debug, Clone)]
pub(crate) struct Person {
    api: Api,
    cookies: CookieJar,
    updates: u32,
    /// The id in the first profile that was read; later ones must have the same.
    id: Option<String>,
    /// The path of the open counsel's messages.
    messages: Option<String>,
}
impl Person {
    /// Makes a first visit, which creates the person.
    pub(crate) async fn visit(api: &Api) -> Result<Person> {
        Ok(Person::visit_sized(api).await?.0)
    }
    /// Makes a first visit, and returns its reply too.
    pub(crate) async fn visit_sized(api: &Api) -> Result<(Person, Reply)> {
        let mut person =
            Person { api: api.clone(), cookies: CookieJar::default(), updates: 0, id: None, messages: None };
        let reply = person.ask(Method::POST, "/v1/auth/initiate", None).await?;
        reply.expect(person.cookies.has("accessToken"), "an access token")?;
        Ok((person, reply))
    }
    /// Reads the profile and the wallet.
    pub(crate) async fn read(&mut self) -> Result<Reply> {
        let reply = self.ask(Method::GET, "/v1/users/me", None).await?;
        let id = reply.data["user"]["id"].as_str().context("the profile has no id")?;
        reply.expect(self.id.get_or_insert_with(|| id.to_owned()) == id, "the profile of the same person")?;
        reply.expect(reply.data["messageTokens"]["max"] == MESSAGES, "a wallet for seven messages")?;
        Ok(reply)
    }
    /// Changes four fields of the profile. Each update differs from the one before, so none is skipped as unchanged.
    pub(crate) async fn update(&mut self) -> Result<Reply> {
        self.updates += 1;
        let profile = json!({
            "profileImage": format!("https://images.example.com/people/{}.png", self.updates),
            "gender": "GENDER_FEMALE",
            "mbti": "MBTI_INFP",
            "birthYear": 1960 + self.updates % 40,
        });
        let reply = self.ask(Method::PUT, "/v1/users/me", Some(profile.clone())).await?;
        reply.expect(reply.data["user"]["userProfile"] == profile, "the changed profile")?;
        Ok(reply)
    }
    /// Consents to the processing of messages. The twin knows no consents and answers 404; a service without the consent
    /// refuses the first message.
    pub(crate) async fn consent(&mut self) -> Result<()> {
        let consent = json!({
            "kind": "CONSENT_KIND_SENSITIVE_DATA",
            "textVersion": contracts::CONSENT_TEXT_VERSION,
            "birthday": "1990-01-01",
        });
        match self.ask(Method::POST, "/v1/users/me/consents", Some(consent)).await {
            Err(error) if error.to_string().contains("404 Not Found") => Ok(()),
            given => given.map(|_| ()),
        }
    }
    /// Opens a counsel with the first counsellor, who greets the person.
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
        let reply = self.ask(Method::POST, &path, Some(json!({ "message": TEXT }))).await?;
        let (question, answer) = (&reply.data["createdCounselMessage"], &reply.data["counselorResponseMessage"]);
        reply.expect(question["message"] == TEXT && question["isUserMessage"] == true, "the message that was sent")?;
        let answered = answer["message"].as_str().is_some_and(|text| !text.is_empty());
        reply.expect(answered && answer["isUserMessage"] == false, "a message of the counsellor")?;
        Ok(reply)
    }
    /// Reacts to a reply in the open counsel. A reply has one reaction at most.
    pub(crate) async fn react(&mut self, message: &str) -> Result<Reply> {
        let path = format!("{}/{message}/react", self.messages.as_ref().context("no counsel is open")?);
        let reply = self.ask(Method::POST, &path, Some(json!({ "reaction": LIKE }))).await?;
        reply.expect(reply.data["counselMessage"]["reaction"] == LIKE, "the message with the reaction")?;
        Ok(reply)
    }
    /// Opens the stream of the open counsel's messages.
    pub(crate) async fn watch_messages(&mut self) -> Result<Events> {
        let path = format!("{}/events", self.messages.as_ref().context("no counsel is open")?);
        let response = self.request(Method::GET, &path).timeout(LONGEST_STREAM).send().await?;
        let status = response.status();
        self.cookies.keep(response.headers())?;
        ensure!(status.is_success(), "{path}: {status}");
        Ok(Events::of(response))
    }
    async fn a_counselor(&mut self) -> Result<String> {
        let found = self.ask(Method::GET, "/v1/counselors", None).await?;
        Ok(found.data["counselors"][0]["id"].as_str().context("there is no counsellor")?.to_owned())
    }
    /// Begins a request with the cookies.
    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.api.client.request(method, format!("{}{path}", self.api.base));
        // Pages of other sites cannot send it, so a write without a body is accepted with it.
        let request = request.header("X-Requested-With", "benchmarks");
        match self.cookies.header() {
            Some(cookies) => request.header(COOKIE, cookies),
            None => request,
        }
    }
    async fn ask(&mut self, method: Method, path: &str, body: Option<Value>) -> Result<Reply> {
        let mut request = self.request(method, path);
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
