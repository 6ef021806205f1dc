//! Tests of the OpenAPI description: it has every endpoint, and every answer is as it says.
use crate::{
    fixture::{Answer, Fixture, SentEvent, as_admin, as_user, with_body},
    requests,
};
use axum::{body::Body, http::Request};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use tonic::{Code, Status};

/// The endpoints of the login and of images, which have tests of their own.
const ELSEWHERE: [&str; 2] = ["/v1/auth/", "/v1/images/"];

pub(crate) async fn description(fixture: &Fixture) -> Value {
    let answer = fixture.send(Request::get("/v1/openapi.json").body(Body::empty()).unwrap()).await;
    assert_eq!((answer.status.as_u16(), answer.header("content-type")), (200, Some("application/json")));
    answer.json()
}

/// Returns the described operations as method and path.
pub(crate) fn operations(api: &Value) -> BTreeSet<(String, String)> {
    let paths = api["paths"].as_object().unwrap().iter();
    paths
        .flat_map(|(path, operations)| {
            operations.as_object().unwrap().keys().map(move |method| (method.to_uppercase(), path.clone()))
        })
        .collect()
}

#[tokio::test]
async fn every_described_endpoint_is_called_and_every_called_one_is_described() {
    let described = operations(&description(&Fixture::patient().await).await);
    let is_here = |path: &str| !ELSEWHERE.iter().any(|start| path.starts_with(start));
    let described: BTreeSet<_> = described.into_iter().filter(|(_, path)| is_here(path)).collect();
    let called = requests::all().into_iter().map(|call| (call.method.to_owned(), call.template.to_owned())).collect();
    assert_eq!(described, called);
}

#[tokio::test]
async fn every_answer_is_within_the_description() {
    let fixture = Fixture::patient().await;
    let api = description(&fixture).await;
    let ids: Vec<_> =
        api["paths"].as_object().unwrap().values().flat_map(|path| path.as_object().unwrap().values()).collect();
    let ids: BTreeSet<_> = ids.iter().map(|operation| operation["operationId"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), operations(&api).len(), "operation ids are unique");
    let unusual = Status::unavailable("restarting");
    for call in requests::all() {
        let builder = if call.is_for_admins() { as_admin } else { as_user };
        let operation = &api["paths"][call.template][call.method.to_lowercase()];
        let usual = fixture.send(with_body(builder(call.method, &call.path), call.body.as_ref())).await;
        assert!(usual.status.is_success(), "{} {}: {usual:?}", call.method, call.path);
        check(&api, operation, &usual);
        let mut answers = Vec::new();
        if call.template.starts_with("/v1/") {
            // With this header no other site can have sent the write.
            let nobody = Request::builder().method(call.method).uri(&call.path).header("X-Requested-With", "a test");
            let nobody = fixture.send(with_body(nobody, call.body.as_ref())).await;
            assert_eq!(nobody.status, 401, "{} {}", call.method, call.path);
            answers.push(nobody);
            for method in fixture.services.methods() {
                fixture.services.fail(method, unusual.clone());
            }
            answers.push(fixture.send(with_body(builder(call.method, &call.path), call.body.as_ref())).await);
            fixture.services.heal();
        }
        if call.body.is_some() {
            for body in ["{", "[]", "{\"priority\": \"high\", \"name\": 1, \"message\": 1, \"nickname\": []}"] {
                let request = builder(call.method, &call.path).header("Content-Type", "application/json");
                answers.push(fixture.send(request.body(Body::from(body)).unwrap()).await);
            }
        }
        answers.iter().for_each(|answer| check(&api, operation, answer));
    }
}

#[tokio::test]
async fn a_person_is_refused_at_every_endpoint_of_administrators() {
    let fixture = Fixture::patient().await;
    for call in requests::all().into_iter().filter(requests::Call::is_for_admins) {
        let answer = fixture.send(with_body(as_user(call.method, &call.path), call.body.as_ref())).await;
        assert_eq!(answer.error(), (403, "E40301".to_owned()), "{} {}", call.method, call.path);
    }
    assert!(fixture.services.methods().is_empty(), "no service was called");
}

#[tokio::test]
async fn defect_18_every_endpoint_passes_a_deadline_on() {
    let fixture = Fixture::patient().await;
    for call in requests::all() {
        let builder = if call.is_for_admins() { as_admin } else { as_user };
        fixture.send(with_body(builder(call.method, &call.path), call.body.as_ref())).await;
    }
    for call in fixture.services.calls() {
        assert!(call.header("grpc-timeout").is_some(), "{}", call.method);
    }
    assert!(fixture.services.calls().len() > 70);
}

#[tokio::test]
async fn defect_11_an_outage_of_any_service_is_an_outage_and_bad_input_is_no_fault() {
    let fixture = Fixture::patient().await;
    for (code, status) in [(Code::Unavailable, 503), (Code::InvalidArgument, 400), (Code::FailedPrecondition, 400)] {
        for call in requests::all().into_iter().filter(|call| call.template.starts_with("/v1/")) {
            let builder = if call.is_for_admins() { as_admin } else { as_user };
            fixture.services.forget();
            fixture.send(with_body(builder(call.method, &call.path), call.body.as_ref())).await;
            let first = fixture.services.methods()[0];
            fixture.services.fail(first, Status::new(code, "no"));
            let answer = fixture.send(with_body(builder(call.method, &call.path), call.body.as_ref())).await;
            fixture.services.heal();
            assert_eq!(answer.status, status, "{} {}: {first}", call.method, call.path);
        }
    }
}

#[tokio::test]
async fn the_page_of_the_description_runs_only_its_own_files() {
    let fixture = Fixture::patient().await;
    let get = async |path: &str| fixture.send(Request::get(path).body(Body::empty()).unwrap()).await;
    assert_eq!(get("/docs").await.header("location"), Some("/docs/"));
    let page = get("/docs/").await;
    assert_eq!(page.status, 200);
    assert!(!page.text.contains("<script>"), "the policy would block it");
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.contains("script-src 'self';"), "{policy}");
    for file in page.text.split("src=\"./").skip(1).map(|rest| rest.split('"').next().unwrap()) {
        assert_eq!(get(&format!("/docs/{file}")).await.status, 200, "{file}");
    }
    assert!(get("/docs/swagger-initializer.js").await.text.contains("/v1/openapi.json"));
}

/// Checks status and body of an answer against the operation.
pub(crate) fn check(api: &Value, operation: &Value, answer: &Answer) {
    let context = || format!("{}: {answer:?}", operation["operationId"]);
    let response = &operation["responses"][answer.status.as_str()];
    assert!(!response.is_null(), "not a described status: {}", context());
    let content = &resolved(api, response)["content"];
    let kind = answer.header("content-type").unwrap_or_default();
    assert!(content.get(kind).is_some(), "not a described type: {kind}: {}", context());
    if kind.starts_with("image/") {
        return;
    }
    let schema = &content[kind]["schema"];
    let bodies = match kind {
        // An event is described by its fields, and its data is a text that holds JSON.
        "text/event-stream" => {
            let of_data = &resolved(api, schema)["properties"]["data"]["contentSchema"];
            let fields = |id: &str, data: &Value| json!({ "event": "messages", "id": id, "data": data.to_string() });
            let event = |event: SentEvent| [(schema, fields(&event.id, &event.data)), (of_data, event.data)];
            answer.events().into_iter().flat_map(event).collect()
        }
        _ => vec![(schema, answer.json())],
    };
    assert!(!bodies.is_empty(), "no event: {}", context());
    for (schema, body) in bodies {
        if let Err(at) = conforms(api, schema, &body) {
            panic!("{at}: {}", context());
        }
    }
}

fn resolved<'a>(api: &'a Value, value: &'a Value) -> &'a Value {
    match value["$ref"].as_str() {
        Some(reference) => api.pointer(reference.trim_start_matches('#')).unwrap_or_else(|| panic!("{reference}")),
        None => value,
    }
}

/// Checks a value against a schema, with the part of JSON Schema that the description uses. A field without a description
/// fails.
fn conforms(api: &Value, schema: &Value, value: &Value) -> Result<(), String> {
    let schema = resolved(api, schema);
    if let Some(choices) = schema["oneOf"].as_array() {
        let fits = choices.iter().any(|choice| conforms(api, choice, value).is_ok());
        return if fits { Ok(()) } else { Err(format!("{value} is none of {schema}")) };
    }
    let fits = match schema["type"].as_str().unwrap_or_else(|| panic!("no type: {schema}")) {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_i64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        kind => panic!("an unknown type: {kind}"),
    };
    if !fits || schema["enum"].as_array().is_some_and(|names| !names.contains(value)) {
        return Err(format!("{value} is not {schema}"));
    }
    for name in schema["required"].as_array().into_iter().flatten() {
        value.get(name.as_str().unwrap()).ok_or_else(|| format!("{name} is missing"))?;
    }
    for (name, field) in value.as_object().into_iter().flatten() {
        match (&schema["properties"][name], schema.get("properties")) {
            (Value::Null, None) => (), // an object with any fields
            (Value::Null, Some(_)) => return Err(format!("{name} is not described")),
            (property, _) => conforms(api, property, field).map_err(|at| format!("{name}: {at}"))?,
        }
    }
    for item in value.as_array().into_iter().flatten() {
        conforms(api, &schema["items"], item)?;
    }
    Ok(())
}

#[test]
fn the_checker_of_this_test_finds_what_is_wrong() {
    use serde_json::json;
    let schema = json!({
        "type": "object", "required": ["a"],
        "properties": { "a": { "type": "string", "enum": ["x"] }, "b": { "type": "array", "items": { "type": "integer" } } },
    });
    assert_eq!(conforms(&Value::Null, &schema, &json!({ "a": "x", "b": [1] })), Ok(()));
    for wrong in
        [json!({}), json!({ "a": "y" }), json!({ "a": "x", "b": ["1"] }), json!({ "a": "x", "c": 1 }), json!([])]
    {
        assert!(conforms(&Value::Null, &schema, &wrong).is_err(), "{wrong}");
    }
}
