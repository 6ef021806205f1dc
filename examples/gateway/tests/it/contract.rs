//! The table of the whole contract, `docs/hearlers-contract.md`: every RPC and every endpoint, who may call it, and a test
//! that calls it; and the flows through all services. `UPDATE_EXPECT=1` writes the file again; an RPC, an endpoint or a flow
//! without a test fails here.
use crate::{
    description::{description, operations},
    fixture::{Fixture, as_admin, as_user, with_body},
    requests,
};
use contracts::v1::access::Access;
use expect_test::expect_file;
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
    fs,
    path::{Path, PathBuf},
};

const HEAD: &str = "\
# The contract of Hearlers

Every RPC of the services and every endpoint of the REST API, with its callers and a test that calls it. This file is generated:
`UPDATE_EXPECT=1 cargo test -p gateway --test it contract` writes it again, and that test fails when an RPC or an endpoint has no
test. The messages are in `proto/`, the JSON of the endpoints is at `/v1/openapi.json`.

Callers: `public` is the gateway for a visitor who may have no identity yet, `gateway` the gateway for itself, `person` the person
whose data it is, `admin` a person with the authority ADMIN. Services refuse everybody else, and every unsigned call.
";

const FLOWS_HEAD: &str = "\
Each flow runs through the gateway and both services, embedded and deployed. In the deployed form each service is killed and started again
in the middle of the flows, the client sends its requests again, and in the end nothing is lost or doubled.
";

/// The RPCs of the endpoints whose calls differ from request to request.
const OF_LOGIN: [(&str, &[&str]); 7] = [
    ("/v1/auth/admin", &["FindAuthUserByUserId", "InitializeUser", "SaveRefreshToken", "UpdateAuthority"]),
    (
        "/v1/auth/callback/{provider}",
        &["ConnectAuthChannel", "FindAuthUserByChannelInfo", "InitializeUser", "SaveRefreshToken", "UpdateAuthority"],
    ),
    ("/v1/auth/initiate", &["FindAuthUserByUserId", "InitializeUser", "RotateRefreshToken", "SaveRefreshToken"]),
    ("/v1/auth/login/{provider}", &["RotateRefreshToken"]),
    ("/v1/auth/logout", &["RevokeRefreshTokens"]),
    ("/v1/auth/logout-all", &["RevokeRefreshTokens"]),
    ("/v1/auth/refresh", &["RotateRefreshToken"]),
];

#[tokio::test]
async fn the_table_of_the_contract_is_complete() {
    let mut text = HEAD.to_owned();
    rpcs(&mut text);
    endpoints(&mut text).await;
    flows(&mut text);
    expect_file!["../../../../docs/hearlers-contract.md"].assert_eq(&text);
}

/// Writes a row for each RPC.
fn rpcs(text: &mut String) {
    let (users, counseling) = (functions("user-service"), functions("counseling-service"));
    let mut missing = Vec::new();
    let mut services: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (path, access) in contracts::rpcs() {
        let (service, rpc) = path.trim_start_matches('/').rsplit_once('.').unwrap().1.split_once('/').unwrap();
        let callers = match access {
            Access::Public => "public",
            Access::Gateway => "gateway",
            Access::Person => "person",
            Access::Admin => "admin",
            Access::Unspecified => unreachable!("the build refuses it"),
        };
        let tests = if service == "UserService" { &users } else { &counseling };
        let test = test_of(tests, &snake(rpc));
        missing.extend(test.is_none().then_some(rpc));
        let row = format!("| {rpc} | {callers} | {} |", test.unwrap_or_default());
        services.entry(service).or_default().push(row);
    }
    for (service, rows) in services {
        write!(
            text,
            "\n## {service}: {} RPCs\n\n| RPC | callers | a test that calls it |\n|---|---|---|\n",
            rows.len()
        )
        .unwrap();
        rows.iter().for_each(|row| writeln!(text, "{row}").unwrap());
    }
    assert!(missing.is_empty(), "no test calls these RPCs: {missing:?}");
}

/// Writes a row for each endpoint. The RPCs are those that the endpoint calls here.
async fn endpoints(text: &mut String) {
    let fixture = Fixture::patient().await;
    let api = description(&fixture).await;
    let mut called = BTreeMap::new();
    for call in requests::all() {
        fixture.services.forget();
        let builder = if call.is_for_admins() { as_admin } else { as_user };
        fixture.send(with_body(builder(call.method, &call.path), call.body.as_ref())).await;
        let rpcs: BTreeSet<_> = fixture.services.methods().into_iter().collect();
        let rpcs = rpcs.into_iter().collect::<Vec<_>>().join(", ");
        called.insert((call.method.to_owned(), call.template.to_owned()), rpcs);
    }
    let all = operations(&api);
    for rpc in OF_LOGIN.iter().flat_map(|(_, rpcs)| *rpcs) {
        assert!(contracts::rpcs().any(|(path, _)| path.ends_with(&format!("/{rpc}"))), "{rpc} is not in the contract");
    }
    writeln!(text, "\n## REST: {} endpoints\n", all.len()).unwrap();
    writeln!(text, "| endpoint | callers | RPCs | a test that calls it |\n|---|---|---|---|").unwrap();
    let own = functions("gateway");
    let mut missing = Vec::new();
    let mut all: Vec<_> = all.into_iter().collect();
    all.sort_by(|(_, one), (_, other)| one.cmp(other));
    for operation in all {
        let (method, path) = &operation;
        let described = &api["paths"][path][method.to_lowercase()];
        let (rpcs, test) = match called.get(&operation) {
            Some(rpcs) => {
                (rpcs.clone(), Some("gateway `description.rs`: every_answer_is_within_the_description".to_owned()))
            }
            // The tests of the login and of images name the path.
            None => {
                let rpcs = OF_LOGIN.iter().find(|(of, _)| of == path).map(|(_, rpcs)| rpcs.join(", "));
                (rpcs.unwrap_or_default(), test_with(&own, path.split('{').next().unwrap()))
            }
        };
        missing.extend(test.is_none().then(|| format!("{method} {path}")));
        let (callers, test) = (callers(path, described), test.unwrap_or_default());
        writeln!(text, "| {method} {path} | {callers} | {rpcs} | {test} |").unwrap();
    }
    assert!(missing.is_empty(), "no test calls these endpoints: {missing:?}");
}

/// The number of flows.
const FLOWS: usize = 8;
/// The start of a row in the list of the flows' tests.
const FLOW: &str = "named(\"F";

/// Writes a row for each entry in the list of the flows' tests. An entry may be of several flows.
fn flows(text: &mut String) {
    let list = Path::new(env!("CARGO_MANIFEST_DIR")).join("../end-to-end/tests/it/flows/mod.rs");
    let list = fs::read_to_string(list).unwrap();
    write!(text, "\n## Flows\n\n{FLOWS_HEAD}\n| flow | test |\n|---|---|\n").unwrap();
    let mut found = BTreeSet::new();
    for line in list.lines().filter_map(|line| line.trim().strip_prefix(FLOW)) {
        let (name, test) = line.split_once("\", ").unwrap();
        let (file, function) = test.split('(').next().unwrap().split_once("::").unwrap();
        let numbers = name.split(", ").next().unwrap().split(" and F");
        found.extend(numbers.map(|number| number.parse::<usize>().unwrap()));
        writeln!(text, "| F{name} | end-to-end `flows/{file}.rs`: {function} |").unwrap();
    }
    assert!(found.into_iter().eq(1..=FLOWS), "a flow has no test");
}

fn callers(path: &str, operation: &Value) -> &'static str {
    match operation["security"].as_array() {
        Some(_) => "public",
        None if path.starts_with("/v1/admin/") => "admin",
        None => "person",
    }
}

/// Converts the name of an RPC to that of its method: `find_tones`.
fn snake(rpc: &str) -> String {
    rpc.chars().fold(String::new(), |mut name, letter| {
        if letter.is_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.extend(letter.to_lowercase());
        name
    })
}

/// A function in the tests of a crate.
struct Function {
    file: String,
    name: String,
    is_test: bool,
    body: String,
}

/// Reads the functions in the tests of a crate, file by file.
fn functions(package: &str) -> Vec<Function> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(package).join("tests/it");
    let mut files: Vec<PathBuf> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
        .into_iter()
        .filter(|path| path.extension().is_some_and(|kind| kind == "rs"))
        .flat_map(|path| of_file(package, &path))
        .collect()
}
fn of_file(package: &str, path: &Path) -> Vec<Function> {
    let text = fs::read_to_string(path).unwrap();
    let file = format!("{package} `{}`", path.file_name().unwrap().to_str().unwrap());
    let listed = text.split_once("cases![").map_or("", |(_, list)| list.split(']').next().unwrap());
    let listed: BTreeSet<_> = listed.split(',').map(str::trim).collect();
    let mut functions: Vec<Function> = Vec::new();
    let mut before = "";
    for line in text.lines() {
        let name = line.trim_start().split_once("fn ").filter(|(start, _)| {
            start.split_whitespace().all(|word| matches!(word, "pub" | "pub(crate)" | "pub(super)" | "async"))
        });
        if let Some((_, rest)) = name {
            let name = rest.split(['(', '<']).next().unwrap().to_owned();
            let is_test = listed.contains(name.as_str()) || matches!(before.trim(), "#[tokio::test]" | "#[test]");
            functions.push(Function { file: file.clone(), name, is_test, body: String::new() });
        } else if let Some(function) = functions.last_mut() {
            function.body.push_str(line);
            function.body.push('\n');
        }
        before = line;
    }
    functions
}

/// Finds a test that calls a method, itself or through helpers.
fn test_of(functions: &[Function], method: &str) -> Option<String> {
    let called = [format!("::{method}("), format!("::{method},"), format!(".{method}(")];
    let (mut known, mut next) = (BTreeSet::new(), Vec::from(called));
    while !next.is_empty() {
        let calls = |function: &&Function| next.iter().any(|call| function.body.contains(call.as_str()));
        let calling: Vec<_> = functions.iter().filter(calls).collect();
        if let Some(test) = calling.iter().find(|function| function.is_test) {
            return Some(format!("{}: {}", test.file, test.name));
        }
        let helpers = calling.into_iter().filter(|function| known.insert(&function.name));
        next = helpers
            .flat_map(|helper| [" ", "(", ".", "::", "!"].map(|start| format!("{start}{}(", helper.name)))
            .collect();
    }
    None
}

/// Finds a test that names a text, itself or through helpers.
fn test_with(functions: &[Function], text: &str) -> Option<String> {
    let naming =
        || functions.iter().filter(|function| function.body.contains(text) && !function.file.contains("contract.rs"));
    let direct = naming().find(|function| function.is_test).map(|test| format!("{}: {}", test.file, test.name));
    direct.or_else(|| {
        naming().find_map(|helper| test_of(functions, &helper.name).or_else(|| calling(functions, &helper.name)))
    })
}
fn calling(functions: &[Function], helper: &str) -> Option<String> {
    let call = format!("{helper}(");
    let test = functions.iter().find(|function| function.is_test && function.body.contains(&call));
    test.map(|test| format!("{}: {}", test.file, test.name))
}

#[test]
fn a_test_is_found_through_its_helpers() {
    let function = |name: &str, is_test, body: &str| Function {
        file: "f".to_owned(),
        name: name.to_owned(),
        is_test,
        body: body.to_owned(),
    };
    let functions = [
        function("helper", false, "client.find_tones(request)"),
        function("outer", false, "let it = helper(1);"),
        function("lists_tones", true, "assert!(fixture.outer(2));"),
        function("unused", false, "client.create_tone(request)"),
    ];
    assert_eq!(test_of(&functions, "find_tones").as_deref(), Some("f: lists_tones"));
    assert_eq!(test_of(&functions, "create_tone"), None);
    assert_eq!(snake("FindCounselTechniqueById"), "find_counsel_technique_by_id");
}
