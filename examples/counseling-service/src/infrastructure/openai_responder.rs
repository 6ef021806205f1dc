//! A responder that asks a language model, over the chat completions that OpenAI made common.
#[cfg(test)]
mod tests;

use crate::{
    application::ports::{NoReply, Prompt, Responder},
    domain::counsel::Speaker,
};
use async_trait::async_trait;
use cqrs_core::Secret;
use reqwest::{Client, StatusCode, Url, redirect};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// More than any reply takes; what is longer is not one.
const LARGEST: usize = 1 << 20;
/// Before asking again.
const PAUSE: Duration = Duration::from_millis(500);

/// Which model, and how it is asked.
#[derive(Debug, Clone)]
pub struct OpenAiConfig {
    /// Where the API is, such as `https://api.openai.com/v1`.
    pub url: String,
    /// The key to it, if it wants one.
    pub key: Option<Secret>,
    /// Which model. Default: `gpt-4o-mini`.
    pub model: String,
    /// How long it may take each time it is asked. Default: 12 s, so that it can be asked twice.
    pub timeout: Duration,
    /// How often it is asked again when it cannot be reached, takes too long, is busy or broken. Default: once.
    pub retries: u32,
}
impl OpenAiConfig {
    /// With the defaults of all that has one.
    pub fn new(url: impl Into<String>) -> Self {
        let (model, timeout) = ("gpt-4o-mini".to_owned(), Duration::from_secs(12));
        OpenAiConfig { url: url.into(), key: None, model, timeout, retries: 1 }
    }
}

/// Why there is no such responder.
#[derive(Debug, thiserror::Error)]
pub enum OpenAiError {
    /// Not something to send requests to.
    #[error("a URL http://... or https://... without a user")]
    Url,
    /// The machine has no certificates to believe, for example.
    #[error("a machine that can use TLS: {0}")]
    Client(String),
}

/// Asks a language model.
#[derive(Debug)]
pub struct OpenAiResponder {
    client: Client,
    endpoint: Url,
    config: OpenAiConfig,
}
impl OpenAiResponder {
    /// Connects to nothing yet.
    ///
    /// # Errors
    /// The URL is none, or the machine cannot use TLS.
    pub fn new(config: OpenAiConfig) -> Result<Self, OpenAiError> {
        let url = Url::parse(&config.url).ok().filter(|it| matches!(it.scheme(), "http" | "https"));
        // The key has a place of its own, where nobody shows it.
        let url = url.filter(|it| it.username().is_empty() && it.password().is_none());
        let mut endpoint = url.ok_or(OpenAiError::Url)?;
        endpoint.path_segments_mut().map_err(|()| OpenAiError::Url)?.pop_if_empty().extend(["chat", "completions"]);
        // Another part of the program may have chosen a provider already; any will do.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder().timeout(config.timeout).redirect(redirect::Policy::none());
        let client = client.build().map_err(|error| OpenAiError::Client(error.to_string()))?;
        Ok(OpenAiResponder { client, endpoint, config })
    }

    async fn ask(&self, question: &Question<'_>) -> Result<String, Refusal> {
        let mut request = self.client.post(self.endpoint.clone()).json(question);
        if let Some(key) = &self.config.key {
            request = request.bearer_auth(key.expose());
        }
        let mut response = request.send().await.map_err(|error| self.lost(&error))?;
        let status = response.status();
        if status != StatusCode::OK {
            let again = status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS;
            return Err(Refusal { why: format!("the model answered {status}"), again });
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.lost(&error))? {
            body.extend(chunk);
            if body.len() > LARGEST {
                return Err(Refusal { why: "the model's answer is too large".to_owned(), again: false });
            }
        }
        let answer: Option<Answer> = serde_json::from_slice(&body).ok();
        let content = answer.and_then(|it| it.choices.into_iter().next()?.message.content);
        content.ok_or_else(|| Refusal { why: "the model's answer cannot be read".to_owned(), again: true })
    }

    /// Without the URL, which may hold a key.
    fn lost(&self, error: &reqwest::Error) -> Refusal {
        let why = match error.is_timeout() {
            true => format!("the model took longer than {:?}", self.config.timeout),
            false => "the model cannot be reached".to_owned(),
        };
        Refusal { why, again: true }
    }
}

/// Why one question got no answer, and whether another may.
struct Refusal {
    why: String,
    again: bool,
}

#[async_trait]
impl Responder for OpenAiResponder {
    async fn respond(&self, prompt: &Prompt) -> Result<String, NoReply> {
        let question = Question { model: &self.config.model, messages: messages(prompt) };
        let mut retries = self.config.retries;
        loop {
            match self.ask(&question).await {
                Ok(reply) => return Ok(reply),
                Err(Refusal { again: true, .. }) if retries > 0 => retries -= 1,
                Err(Refusal { why, .. }) => return Err(NoReply(why)),
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

#[derive(Serialize)]
struct Question<'a> {
    model: &'a str,
    messages: Vec<Message>,
}
#[derive(Serialize)]
struct Message {
    role: &'static str,
    content: String,
}
#[derive(Deserialize)]
struct Answer {
    choices: Vec<Choice>,
}
#[derive(Deserialize)]
struct Choice {
    message: Said,
}
#[derive(Deserialize)]
struct Said {
    content: Option<String>,
}

/// Who the counsellor is, what was said, what is said now.
fn messages(prompt: &Prompt) -> Vec<Message> {
    let Prompt { persona, tone, context, instruction, .. } = prompt;
    let system = format!(
        "<Persona>\n{persona}\n</Persona>\n<Context>\n{context}\n</Context>\n\
         <Instruction>\n{instruction}\n</Instruction>\n<Tone>\n{tone}\n</Tone>"
    );
    let role = |by| if by == Speaker::Person { "user" } else { "assistant" };
    let history = prompt.history.iter().map(|it| Message { role: role(it.by), content: it.text.clone() });
    let mut messages = vec![Message { role: "system", content: system }];
    messages.extend(history);
    messages.push(Message { role: "user", content: prompt.message.clone() });
    messages
}
