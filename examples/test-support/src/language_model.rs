//! A local language model with the API of OpenAI: it records the prompts, and answers, fails or stays silent as a test wants.

use std::collections::HashMap;
use std::io;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// The interval at which a silent model looks whether its fault has ended.
const POLL: Duration = Duration::from_millis(5);

/// A fault of a language model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ModelFault {
    /// The model answers.
    #[default]
    None,
    /// The model answers only once the fault has ended.
    Silent,
    /// The model answers with status 500.
    ServerError,
}

/// A language model. Clones are the same server.
#[derive(Debug, Clone)]
pub struct LanguageModel {
    url: String,
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug, Default)]
struct Inner {
    faults: HashMap<String, ModelFault>,
    /// The system prompt of each request, by the person's message.
    prompts: HashMap<String, Vec<String>>,
}

impl LanguageModel {
    /// Starts a model.
    ///
    /// # Errors
    /// Fails when no port is free.
    pub async fn start() -> io::Result<LanguageModel> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let url = format!("http://{}/v1", listener.local_addr()?);
        let model = LanguageModel { url, inner: Arc::default() };
        let router = Router::new().route("/v1/chat/completions", post(complete)).with_state(model.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(model)
    }

    /// Returns the base URL of the API.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Returns the model's reply to a message. Different messages have different replies.
    pub fn reply_to(message: &str) -> String {
        format!("그랬군요. \"{message}\"")
    }

    /// Sets the fault of the requests with this message.
    pub fn fail_for(&self, message: &str, fault: ModelFault) {
        self.inner().faults.insert(message.to_owned(), fault);
    }

    /// Returns the system prompts of all requests with this message, oldest first.
    pub fn prompts_for(&self, message: &str) -> Vec<String> {
        self.inner().prompts.get(message).cloned().unwrap_or_default()
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn complete(State(model): State<LanguageModel>, Json(request): Json<Value>) -> Response {
    let texts = request["messages"].as_array().map(Vec::as_slice).unwrap_or_default();
    let text = |message: Option<&Value>| message.and_then(|message| message["content"].as_str()).map(str::to_owned);
    let (Some(system), Some(message)) = (text(texts.first()), text(texts.last())) else {
        return (StatusCode::BAD_REQUEST, Json(json!({ "error": { "message": "no messages" } }))).into_response();
    };
    model.inner().prompts.entry(message.clone()).or_default().push(system);
    let fault = loop {
        let fault = model.inner().faults.get(&message).copied().unwrap_or_default();
        if fault != ModelFault::Silent {
            break fault;
        }
        tokio::time::sleep(POLL).await;
    };
    if fault == ModelFault::ServerError {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    }
    let reply = json!({ "role": "assistant", "content": LanguageModel::reply_to(&message) });
    Json(json!({ "id": "1", "choices": [{ "index": 0, "message": reply }] })).into_response()
}
