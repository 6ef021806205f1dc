//! Tests of the responder against a scripted HTTP server.
use super::{OpenAiConfig, OpenAiResponder};
use crate::{
    application::ports::{NoReply, Prompt, Responder, Turn},
    domain::counsel::Speaker,
};
use cqrs_core::Secret;
use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::mpsc::{Receiver, Sender, channel},
    thread,
    time::Duration,
};

const GOOD: &str = r#"{"id":"1","choices":[{"index":0,"message":{"role":"assistant","content":"그랬군요."}}]}"#;

/// The server's behaviour for one request.
#[derive(Clone, Copy)]
enum Answer {
    Is(u16, &'static str),
    Silent,
}

/// Serves these answers, one for each connection, and sends each request to the receiver.
fn server(answers: &'static [Answer]) -> (String, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/v1/", listener.local_addr().unwrap());
    let (tell, asked) = channel();
    thread::spawn(move || {
        let mut silent = Vec::new(); // kept open: the client would notice a dropped connection at once
        for answer in answers {
            let (stream, _) = listener.accept().unwrap();
            silent.extend(serve(stream, *answer, &tell));
        }
        thread::sleep(Duration::from_secs(5));
    });
    (url, asked)
}

fn serve(mut stream: TcpStream, answer: Answer, tell: &Sender<String>) -> Option<TcpStream> {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let (mut head, mut length) = (String::new(), 0);
    while !head.ends_with("\r\n\r\n") {
        let start = head.len();
        reader.read_line(&mut head).unwrap();
        if let Some(value) = head[start..].to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    tell.send(head + &String::from_utf8(body).unwrap()).unwrap();
    let Answer::Is(status, body) = answer else { return Some(stream) };
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status} -\r\ncontent-length: {length}\r\nlocation: http://127.0.0.1:1/\r\nconnection: close\r\n\r\n"
    );
    stream.write_all((head + body).as_bytes()).unwrap();
    None
}

async fn ask(url: &str) -> Result<String, NoReply> {
    let config = OpenAiConfig {
        key: Some(Secret::new("sk-1")),
        model: "small".into(),
        timeout: Duration::from_millis(300),
        ..OpenAiConfig::new(url)
    };
    let prompt = Prompt {
        counselor: "하늘".into(),
        persona: "다정한 상담사".into(),
        client: Some("수달".into()),
        tone: "따뜻한 존댓말".into(),
        context: "첫 단계".into(),
        instruction: "열린 질문을 하나만".into(),
        history: vec![Turn { by: Speaker::Counselor, text: "안녕하세요".into() }],
        message: "잠이 안 와요".into(),
    };
    OpenAiResponder::new(config).unwrap().respond(&prompt).await
}

#[tokio::test]
async fn the_request_contains_the_prompts_and_the_answer_is_returned() {
    let (url, asked) = server(&[Answer::Is(200, GOOD)]);
    assert_eq!(ask(&url).await.as_deref(), Ok("그랬군요."));
    let asked = asked.recv().unwrap();
    assert!(asked.starts_with("POST /v1/chat/completions HTTP/1.1\r\n"), "{asked}");
    assert!(asked.to_lowercase().contains("authorization: bearer sk-1\r\n"));
    let body: serde_json::Value = serde_json::from_str(asked.split("\r\n\r\n").nth(1).unwrap()).unwrap();
    assert_eq!(body["model"], "small");
    let roles: Vec<_> =
        body["messages"].as_array().unwrap().iter().map(|message| message["role"].as_str().unwrap()).collect();
    assert_eq!(roles, ["system", "assistant", "user"]);
    let system = body["messages"][0]["content"].as_str().unwrap();
    assert_eq!(body["max_tokens"], 600);
    for part in [
        "<Persona>\n다정한 상담사\n내담자를 부르는 별명은 '수달'입니다.",
        "<Context>\n첫 단계",
        "<Instruction>\n열린",
        "<Tone>\n따뜻한",
    ] {
        assert!(system.contains(part), "{system}");
    }
    assert_eq!(body["messages"][2]["content"], "잠이 안 와요");
}

/// A model that is slow may have composed a reply that never arrived. It would be paid for twice.
#[tokio::test]
async fn a_failed_call_is_not_repeated() {
    for first in [&[Answer::Is(500, ""), Answer::Is(200, GOOD)], &[Answer::Silent, Answer::Is(200, GOOD)]] {
        let (url, asked) = server(first);
        assert!(ask(&url).await.is_err());
        assert_eq!(asked.try_iter().count(), 1);
    }
}

#[tokio::test]
async fn the_error_names_the_cause_without_the_key() {
    let cases: [(&'static [Answer], &str); 7] = [
        (&[Answer::Is(503, "down")], "the model answered 503 Service Unavailable"),
        (&[Answer::Is(401, "sk-1 is wrong")], "the model answered 401 Unauthorized"),
        (&[Answer::Is(302, "")], "the model answered 302 Found"),
        (&[Answer::Silent], "the model took longer than 300ms"),
        (&[Answer::Is(200, "<html>")], "the model's answer cannot be read"),
        (&[Answer::Is(200, r#"{"choices":[]}"#)], "the model's answer cannot be read"),
        (&[Answer::Is(200, r#"{"choices":[{"message":{"content":null}}]}"#)], "the model's answer cannot be read"),
    ];
    for (answers, why) in cases {
        let (url, asked) = server(answers);
        assert_eq!(ask(&url).await, Err(NoReply(why.to_owned())));
        assert_eq!(asked.try_iter().count(), 1, "{why}");
    }
    assert_eq!(ask("http://127.0.0.1:1").await, Err(NoReply("the model cannot be reached".to_owned())));
}

#[test]
fn an_unusable_url_is_refused_and_the_key_is_not_printed() {
    for bad in ["", "llm", "ftp://llm/v1", "http://"] {
        assert!(OpenAiResponder::new(OpenAiConfig::new(bad)).is_err(), "{bad}");
    }
    let config = OpenAiConfig { key: Some(Secret::new("sk-1")), ..OpenAiConfig::new("https://llm/v1") };
    assert!(!format!("{:?}", OpenAiResponder::new(config).unwrap()).contains("sk-1"));
}
