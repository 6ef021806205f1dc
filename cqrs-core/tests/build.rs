//! The build helper: the generated code of integration events, and an error that names file and message.
use cqrs_core::build::{ProtoError, Protos, include};
use std::fs;
use tempfile::TempDir;

const HEAD: &str = "syntax = \"proto3\"; package example.orders; import \"cqrs/v1/integration_event.proto\";\n";
const TOPIC: &str = "option (cqrs.v1.topic) = \"orders.events.v1\";\n";
const FILE: &str = "orders/v1/events.proto";

/// Writes one file with these lines after the imports.
fn folder(lines: &str) -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join(FILE);
    fs::create_dir_all(file.parent().expect("it has a folder")).expect("the folder can be created");
    fs::write(file, format!("{HEAD}{lines}")).expect("the file can be written");
    folder
}
fn message(name: &str, options: &str) -> String {
    format!(
        "message {name} {{ option (cqrs.v1.event) = {{{options}}}; string order_id = 1; optional string note = 2; }}\n"
    )
}
fn mistake(lines: &str) -> String {
    let protos = Protos::compile(folder(lines).path()).expect("the files compile");
    match protos.integration_events() {
        Err(ProtoError::Event { file, message, problem }) => {
            assert_eq!(file, FILE);
            format!("{message} {problem}")
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn each_package_gets_the_code_of_its_integration_events() {
    let placed = message("OrderPlaced", "name: \"order.placed.v1\", key: \"order_id\"");
    let lines = format!("{TOPIC}{placed}message NoEvent {{ string order_id = 1; }}");
    let events = Protos::compile(folder(&lines).path()).expect("the files compile").integration_events();
    let events = events.expect("the options are complete");
    assert_eq!(events.keys().collect::<Vec<_>>(), ["example.orders"]);
    let code = &events["example.orders"];
    for expected in [
        "pub const TOPICS: &[&str] = &[\"orders.events.v1\"];",
        "impl ::cqrs_core::IntegrationEvent for OrderPlaced {",
        "impl ::cqrs_core::Subscribable for OrderPlaced {",
        "const NAME: &'static str = \"order.placed.v1\";",
        "const TOPIC: &'static str = \"orders.events.v1\";",
        "const CONTENT_TYPE: &'static str = \"application/protobuf\";",
        "self.r#order_id.clone()",
    ] {
        assert!(code.contains(expected), "{expected} is missing in {code}");
    }
    assert!(!code.contains("NoEvent"), "{code}");
}

#[test]
fn each_package_gets_the_code_of_its_commands_to_other_services() {
    let options = "option (cqrs.v1.command) = {name: \"stock.reserve.v1\", key: \"order_id\"};";
    let lines = format!(
        "option (cqrs.v1.topic) = \"stock.commands.v1\";\nmessage ReserveGoods {{ {options} string order_id = 1; }}"
    );
    let code = Protos::compile(folder(&lines).path()).expect("the files compile").integration_events();
    let code = &code.expect("the options are complete")["example.orders"];
    for expected in [
        "pub const TOPICS: &[&str] = &[];",
        "pub const COMMAND_TOPICS: &[&str] = &[\"stock.commands.v1\"];",
        "impl ::cqrs_core::RemoteCommand for ReserveGoods {",
        "const NAME: &'static str = \"stock.reserve.v1\";",
        "self.r#order_id.clone()",
    ] {
        assert!(code.contains(expected), "{expected} is missing in {code}");
    }
    assert!(!code.contains("Subscribable"), "a command can be subscribed to: {code}");
}

#[test]
fn a_command_without_a_key_is_refused() {
    let lines =
        format!("{TOPIC}message ReserveGoods {{ option (cqrs.v1.command) = {{name: \"a\"}}; string order_id = 1; }}");
    let refused = Protos::compile(folder(&lines).path()).expect("the files compile").integration_events();
    match refused {
        Err(ProtoError::Command { file, message, problem }) => {
            assert_eq!((&*file, &*message), (FILE, "example.orders.ReserveGoods"));
            assert!(problem.starts_with("has no key"), "{problem}");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_folder_without_integration_events_generates_nothing() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::write(folder.path().join("a.proto"), "syntax = \"proto3\"; message A {}").expect("the file can be written");
    let protos = Protos::compile(folder.path()).expect("the file compiles");
    assert!(protos.integration_events().expect("there is no mistake").is_empty());
    assert_eq!(protos.file_descriptor_set().file.len(), 1);
}

#[test]
fn an_incomplete_option_is_an_error_that_names_the_file_and_the_message() {
    let complete = "name: \"order.placed.v1\", key: \"order_id\"";
    let with_topic = |options| format!("{TOPIC}{}", message("OrderPlaced", options));
    let nested = format!("{TOPIC}message Outer {{ {} }}", message("OrderPlaced", complete));
    let twice = format!("{TOPIC}{}{}", message("OrderPlaced", complete), message("OrderPaid", complete));
    let cases = [
        (message("OrderPlaced", complete), "has no topic"),
        (with_topic("key: \"order_id\""), "has no name"),
        (with_topic("name: \"order.placed.v1\""), "has no key"),
        (with_topic("name: \"order.placed.v1\", key: \"id\""), "has the key `id`, which is not a string field"),
        (with_topic("name: \"order.placed.v1\", key: \"note\""), "has the key `note`, which is not a string field"),
        (with_topic("name: \"order placed\", key: \"order_id\""), "has the name `order placed`: only"),
        (with_topic(complete).replace("orders.events.v1", "orders/v1"), "has the topic `orders/v1`: only"),
    ];
    for (lines, expected) in cases {
        let found = mistake(&lines);
        assert!(found.starts_with(&format!("example.orders.OrderPlaced {expected}")), "{found}");
    }
    assert!(mistake(&nested).starts_with("example.orders.Outer.OrderPlaced is inside another message"));
    let both = "example.orders.OrderPaid has the name `order.placed.v1`, which example.orders.OrderPlaced has too";
    assert_eq!(mistake(&twice), both);
}

#[test]
fn a_file_that_does_not_compile_or_is_not_there_is_an_error() {
    let broken = Protos::compile(folder("message {").path()).expect_err("the message has no name");
    assert!(matches!(broken, ProtoError::Compile(_)), "{broken:?}");
    let missing = Protos::compile("no-such-folder").expect_err("the folder does not exist");
    assert!(missing.to_string().starts_with("no-such-folder: "), "{missing}");
}

#[test]
fn the_options_are_in_the_folder_to_include() {
    assert!(include().join("cqrs/v1/integration_event.proto").exists());
}
