//! The description of the API as OpenAPI 3.1: at `/v1/openapi.json`, and as a page at `/docs`.
//!
//! Each endpoint declares its parameters, its body and the data of its answer. What all endpoints share is added here: the
//! envelope, the errors, the headers, the ids in the path, and who may call.
use crate::{extract::ACCESS_TOKEN, http::Gateway};
use axum::{
    Router,
    http::{
        HeaderValue,
        header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE},
    },
    routing::get,
};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use tower_http::set_header::SetResponseHeaderLayer;
use utoipa::openapi::OpenApi;
use utoipa_swagger_ui::{Config, SwaggerUi};

const PATH: &str = "/v1/openapi.json";
/// Allows the page its own files. Swagger UI writes styles and small pictures into the page.
const PAGE_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
     connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The errors with which an endpoint may answer: status, description, and whether only writes do.
const ERRORS: [(&str, &str, bool); 13] = [
    (
        "400",
        "A part of the request is invalid; `details` names it. Or the state of what it concerns forbids it.",
        false,
    ),
    ("401", "The session is missing, invalid or expired.", false),
    ("403", "The caller may not do this, or has no tokens left.", false),
    ("404", "There is none, or it belongs to somebody else.", false),
    ("408", "The body did not arrive in time.", true),
    ("409", "It exists already, or another request was first.", true),
    ("413", "The body is too large.", true),
    ("415", "The body is not application/json.", true),
    ("429", "Too many requests; `Retry-After` says when to try again.", false),
    ("500", "A fault of the server.", false),
    ("501", "A service does not support it yet.", false),
    ("503", "A service cannot be reached; `Retry-After` says when to try again.", false),
    ("504", "A service did not answer in time.", false),
];

/// Serves the description and its page.
pub(super) fn routes(description: OpenApi) -> Router<Gateway> {
    let document = complete(description).to_string();
    let page = SwaggerUi::new("/docs").config(Config::from(PATH));
    let policy = SetResponseHeaderLayer::overriding(CONTENT_SECURITY_POLICY, HeaderValue::from_static(PAGE_POLICY));
    Router::from(page)
        .layer(policy)
        .route(PATH, get(async move || ([(CONTENT_TYPE, "application/json")], document.clone())))
}

/// Adds what all endpoints share.
fn complete(description: OpenApi) -> Value {
    let mut api = serde_json::to_value(description).expect("a description has text keys");
    api["info"] = json!({
        "title": "Hearlers",
        "version": env!("CARGO_PKG_VERSION"),
        "description": "Counselling by chat with an AI. A retry of a write with the same `Idempotency-Key` does it once. \
            A read that is sent with the `Hearlers-Consistency-Token` of an earlier answer sees at least what that one saw.",
    });
    api["security"] = json!([{ "session": [] }, { "bearer": [] }]);
    let schemas = api["components"]["schemas"].take();
    let sent = sent_schemas(&api, &schemas);
    let paths = api["paths"].as_object_mut().map(std::mem::take).unwrap_or_default();
    let paths = paths.into_iter().map(|(path, operations)| (path.replace("{*", "{"), operations));
    api["paths"] = Value::Object(paths.collect());
    for (path, operations) in api["paths"].as_object_mut().into_iter().flatten() {
        for (method, operation) in operations.as_object_mut().into_iter().flatten() {
            describe(path, method, operation, &schemas);
        }
    }
    api["components"] = components();
    let Value::Object(schemas) = schemas else { unreachable!("the endpoints have schemas") };
    for (name, mut schema) in schemas {
        if !sent.contains(&name) {
            without_null(&mut schema); // answers leave nulls out
        }
        api["components"]["schemas"][name] = schema;
    }
    api
}

fn describe(path: &str, method: &str, operation: &mut Value, schemas: &Value) {
    let writes = method != "get";
    operation["operationId"] = operation_id(path, method).into();
    operation["tags"] = json!([tag(path)]);

    let mut parameters = match operation["parameters"].take() {
        Value::Array(parameters) => parameters,
        _ => Vec::new(),
    };
    parameters.iter_mut().for_each(without_null);
    for name in names_in(path) {
        if !parameters.iter().any(|parameter| parameter["name"] == name) {
            let id = json!({ "type": "string", "format": "uuid" });
            parameters.push(json!({ "name": name, "in": "path", "required": true, "schema": id }));
        }
    }
    parameters.push(json!({ "$ref": "#/components/parameters/ConsistencyToken" }));
    parameters.push(json!({ "$ref": "#/components/parameters/CorrelationId" }));
    if writes {
        parameters.push(json!({ "$ref": "#/components/parameters/IdempotencyKey" }));
        parameters.push(json!({ "$ref": "#/components/parameters/RequestedWith" }));
    }
    operation["parameters"] = parameters.into();

    if let Some(body) = operation.get_mut("requestBody") {
        without_schema_of_images(body);
        // An absent body counts as an empty object.
        let schema = resolved(&body["content"]["application/json"]["schema"], schemas);
        body["required"] = schema["required"].as_array().is_some_and(|required| !required.is_empty()).into();
    }
    let responses = operation["responses"].as_object_mut().expect("each endpoint has an answer");
    for (status, response) in &mut *responses {
        without_schema_of_images(response);
        let is_success = status.starts_with('2');
        if is_success && (response.get("content").is_none() || response["content"].get("application/json").is_some()) {
            let data = response["content"]["application/json"]["schema"].take();
            response["content"] = json!({ "application/json": { "schema": envelope(data) } });
        }
        response["headers"] = json!({
            "X-Correlation-Id": { "$ref": "#/components/headers/CorrelationId" },
            "Hearlers-Consistency-Token": { "$ref": "#/components/headers/ConsistencyToken" },
        });
    }
    for (status, _, only_writes) in ERRORS {
        // A login changes something by GET: the browser comes from the provider.
        let may_conflict = status == "409" && path.starts_with("/v1/auth/");
        if writes || !only_writes || may_conflict {
            let reference = json!({ "$ref": format!("#/components/responses/{status}") });
            responses.entry(status).or_insert(reference);
        }
    }
}

/// Makes the contents of the type `image/...` plain bytes.
fn without_schema_of_images(described: &mut Value) {
    let contents = described.get_mut("content").and_then(Value::as_object_mut).into_iter().flatten();
    contents.filter(|(kind, _)| kind.starts_with("image/")).for_each(|(_, content)| *content = json!({}));
}

/// Returns the schema of a successful answer with this data.
fn envelope(data: Value) -> Value {
    let text = json!({ "type": "string" });
    let mut envelope = json!({
        "type": "object",
        "required": ["message", "timestamp"],
        "properties": {
            "message": text,
            "timestamp": { "$ref": "#/components/schemas/Timestamp" },
        },
    });
    if !data.is_null() {
        envelope["required"] = json!(["data", "message", "timestamp"]);
        envelope["properties"]["data"] = data;
    }
    envelope
}

fn components() -> Value {
    let errors = ERRORS.into_iter().map(|(status, description, _)| {
        let schema = json!({ "$ref": "#/components/schemas/Error" });
        let mut response = json!({
            "description": description,
            "content": { "application/json": { "schema": schema } },
        });
        if matches!(status, "429" | "503") {
            let seconds = json!({ "type": "integer", "minimum": 1 });
            response["headers"] = json!({ "Retry-After": { "description": "Seconds to wait.", "schema": seconds } });
        }
        (status.to_owned(), response)
    });
    let token = json!({ "type": "string", "maxLength": 1024 });
    json!({
        "responses": errors.collect::<Map<_, _>>(),
        "parameters": {
            "IdempotencyKey": {
                "name": "Idempotency-Key", "in": "header",
                "description": "Identifies one request across its retries.",
                "schema": { "type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]{1,255}$" },
            },
            "RequestedWith": {
                "name": "X-Requested-With", "in": "header",
                "description": "Any value, such as the client's name. Needed for a write with cookies, and for the beginning of \
                    a session, if the request has neither a JSON body nor `X-Session`: pages of other sites cannot send it.",
                "schema": { "type": "string" },
            },
            "ConsistencyToken": {
                "name": "Hearlers-Consistency-Token", "in": "header",
                "description": "The value of an earlier answer. Browsers send it as a cookie by themselves.",
                "schema": token,
            },
            "CorrelationId": {
                "name": "X-Correlation-Id", "in": "header",
                "description": "Names the request in the logs. Another text than a UUID is ignored.",
                "schema": { "type": "string", "format": "uuid" },
            },
        },
        "headers": {
            "ConsistencyToken": { "description": "What the answer has seen.", "schema": token },
            "CorrelationId": {
                "description": "Names the request in the logs.",
                "schema": { "type": "string", "format": "uuid" },
            },
        },
        "securitySchemes": {
            "session": { "type": "apiKey", "in": "cookie", "name": ACCESS_TOKEN },
            "bearer": { "type": "http", "scheme": "bearer", "bearerFormat": "JWT" },
        },
        "schemas": {
            "Timestamp": {
                "type": "string", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}$",
                "description": "The time of the answer in UTC.",
            },
            "Error": {
                "type": "object",
                "required": ["code", "message", "status", "timestamp"],
                "properties": {
                    "code": { "type": "string", "description": "The stable name of the error." },
                    "details": {
                        "type": "array", "items": { "type": "string" },
                        "description": "The fields at fault with what they accept.",
                    },
                    "message": { "type": "string" },
                    "status": { "type": "string", "description": "The name of the HTTP status." },
                    "timestamp": { "$ref": "#/components/schemas/Timestamp" },
                },
            },
        },
    })
}

/// Builds the id from the method and the path, so that it is unique: `getTonesByToneId`.
fn operation_id(path: &str, method: &str) -> String {
    let words = path.split(['/', '-', '.']).filter(|word| !word.is_empty() && *word != "v1");
    words.fold(method.to_owned(), |id, word| match word.strip_prefix('{') {
        Some(name) => id + "By" + &capitalized(name.trim_end_matches('}').trim_start_matches('*')),
        None => id + &capitalized(word),
    })
}
fn capitalized(word: &str) -> String {
    let (initial, rest) = word.split_at(word.chars().next().map_or(0, char::len_utf8));
    initial.to_uppercase() + rest
}

/// Returns the group of an endpoint: the first segment, and that it is for administrators.
fn tag(path: &str) -> String {
    let mut segments = path.trim_start_matches('/').split('/').filter(|segment| *segment != "v1");
    match segments.next() {
        Some("admin") => format!("admin: {}", segments.next().unwrap_or_default()),
        segment => segment.unwrap_or_default().to_owned(),
    }
}

/// Returns the names of the parameters in a path.
fn names_in(path: &str) -> Vec<&str> {
    path.split('{').skip(1).filter_map(|rest| Some(rest.split_once('}')?.0)).collect()
}

/// Returns the schema that a reference points to.
fn resolved<'a>(schema: &'a Value, schemas: &'a Value) -> &'a Value {
    match schema["$ref"].as_str().and_then(|reference| reference.rsplit('/').next()) {
        Some(name) => &schemas[name],
        None => schema,
    }
}

/// Returns the names of the schemas that occur in requests.
fn sent_schemas(api: &Value, schemas: &Value) -> BTreeSet<String> {
    let operations = api["paths"].as_object().into_iter().flatten();
    let operations = operations.flat_map(|(_, operations)| operations.as_object().into_iter().flatten());
    let mut open: Vec<_> = operations.map(|(_, operation)| &operation["requestBody"]).collect();
    let mut sent = BTreeSet::new();
    while let Some(value) = open.pop() {
        match value {
            Value::Object(fields) => {
                if let Some(name) =
                    fields.get("$ref").and_then(Value::as_str).and_then(|reference| reference.rsplit('/').next())
                    && sent.insert(name.to_owned())
                {
                    open.push(&schemas[name]);
                }
                open.extend(fields.values());
            }
            Value::Array(items) => open.extend(items),
            _ => (),
        }
    }
    sent
}

/// Removes the alternative `null` from a schema and the schemas in it.
fn without_null(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            if let Some(Value::Array(types)) = fields.get_mut("type") {
                types.retain(|kind| kind != "null");
                if let [kind] = types.as_slice() {
                    fields["type"] = kind.clone();
                }
            }
            if let Some(Value::Array(choices)) = fields.get_mut("oneOf") {
                choices.retain(|choice| choice["type"] != "null");
                if let [Value::Object(choice)] = choices.as_slice() {
                    let choice = choice.clone();
                    fields.remove("oneOf");
                    fields.extend(choice);
                }
            }
            fields.values_mut().for_each(without_null);
        }
        Value::Array(items) => items.iter_mut().for_each(without_null),
        _ => (),
    }
}

#[cfg(test)]
mod tests {
    use super::{names_in, operation_id, tag, without_null};
    use serde_json::json;

    #[test]
    fn an_operation_is_named_after_its_method_and_path() {
        let path = "/v1/admin/counselors/{counselorId}/image-url";
        assert_eq!(operation_id(path, "post"), "postAdminCounselorsByCounselorIdImageUrl");
        assert_eq!(tag(path), "admin: counselors");
        assert_eq!(tag("/health/live"), "health");
        assert_eq!(names_in(path), ["counselorId"]);
    }
    #[test]
    fn null_is_no_alternative_any_more() {
        let mut schema = json!({ "properties": {
            "a": { "type": ["string", "null"], "maxLength": 3 },
            "b": { "oneOf": [{ "type": "null" }, { "$ref": "#/components/schemas/Gender" }] },
            "c": { "oneOf": [{ "type": "integer" }, { "type": "string" }] },
        } });
        without_null(&mut schema);
        assert_eq!(
            schema,
            json!({ "properties": {
            "a": { "type": "string", "maxLength": 3 },
            "b": { "$ref": "#/components/schemas/Gender" },
            "c": { "oneOf": [{ "type": "integer" }, { "type": "string" }] },
        } })
        );
    }
}
