//! The files of the deployment, read as text and checked with the programs' own settings: there is no Docker in the tests.
use crate::{read, root};
use clap::{Arg, ArgMatches, Command, CommandFactory, FromArgMatches};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    process,
};
use tempfile::TempDir;

/// The programs of the images.
const PROGRAMS: [&str; 3] = ["user-service", "counseling-service", "gateway"];
/// The folder of images in a container, which is a volume.
const IMAGES: &str = "/var/lib/hearlers/images";
/// The variables of a program that are no flags: the filter of its log, and where it exports traces.
const WITHOUT_A_FLAG: [&str; 2] = ["RUST_LOG", "OTEL_EXPORTER_OTLP_ENDPOINT"];

/// The settings of the login at the broker, which needs TLS.
const KAFKA_LOGIN: [&str; 4] =
    ["HEARLERS_KAFKA_SECURITY", "HEARLERS_KAFKA_CA", "HEARLERS_KAFKA_USER", "HEARLERS_KAFKA_PASSWORD_FILE"];

/// The settings that the compose file leaves out: the program, or nothing for all of them, the setting, and the reason.
const LEFT_OUT: &[(&str, &str, &str)] = &[
    ("user-service", "HEARLERS_CALL_KEY", "it calls no service"),
    ("", "HEARLERS_ALLOW_PLAINTEXT", "all calls are encrypted"),
    ("", "HEARLERS_DATABASE_ALLOW_PLAINTEXT", "all connections to the database are encrypted"),
    ("", "HEARLERS_DATABASE_CERTIFICATE", "a role has a password"),
    ("", "HEARLERS_DATABASE_KEY", "a role has a password"),
    ("", "HEARLERS_DATABASE_POOLING", "there is no pooler"),
    ("", "HEARLERS_KAFKA_CERTIFICATE", "a user of the broker has a password"),
    ("", "HEARLERS_KAFKA_KEY", "a user of the broker has a password"),
    ("", "HEARLERS_KAFKA_KEY_PASSWORD", "a user of the broker has a password"),
    ("", "HEARLERS_KAFKA_FOREIGN_TOPICS", "no topic of another deployment is read"),
    ("", "HEARLERS_VIEWS", "the query side alone has a store of views"),
    ("", "HEARLERS_VIEWS_ALLOW_PLAINTEXT", "the query side alone has a store of views"),
    ("", "HEARLERS_SHUTDOWN_PAUSE", "each service has one container, so that no load balancer has to notice its end"),
    ("gateway", "HEARLERS_SECURE_COOKIES", "a browser that does not use loopback gets secure cookies anyway"),
    ("gateway", "HEARLERS_KAKAO_LOGIN_URL", "for a provider of a test"),
    ("gateway", "HEARLERS_KAKAO_API_URL", "for a provider of a test"),
    ("gateway", "HEARLERS_NAVER_LOGIN_URL", "for a provider of a test"),
    ("gateway", "HEARLERS_NAVER_API_URL", "for a provider of a test"),
];

fn compose() -> String {
    read(&root().join("examples/deploy/compose.yaml"))
}

/// Returns the entries of a top-level section by name, each with its lines.
fn section(text: &str, name: &str) -> BTreeMap<String, String> {
    let lines = text.lines().skip_while(|line| line.trim_end() != format!("{name}:")).skip(1);
    let lines = lines.take_while(|line| line.is_empty() || line.starts_with([' ', '#']));
    let (mut entries, mut last) = (BTreeMap::<String, String>::new(), String::new());
    for line in lines.filter(|line| !line.trim_start().starts_with('#')) {
        let is_entry = line.starts_with("  ") && !line.starts_with("   ");
        if let Some((entry, rest)) = line.trim().split_once(':').filter(|_| is_entry) {
            last = entry.to_owned();
            entries.insert(last.clone(), rest.to_owned());
        } else if let Some(entry) = entries.get_mut(&last) {
            *entry += line;
            entry.push('\n');
        }
    }
    entries
}
/// Returns the words of a text that begin with `prefix`.
fn words<'a>(text: &'a str, prefix: &str) -> BTreeSet<&'a str> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/_.-".contains(c);
    text.split(|c| !is_plain(c)).filter(|word| word.starts_with(prefix)).collect()
}

/// Returns the variables of programs that a text names.
fn variables_in(text: &str) -> BTreeSet<&str> {
    let is_plain = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    text.split(|c| !is_plain(c)).filter(|word| word.starts_with("HEARLERS_")).collect()
}

/// Variables with their texts in the file. One without a text comes from the shell, or is not set.
type Texts = BTreeMap<String, Option<String>>;
/// Variables of the shell in which compose runs.
type Shell = BTreeMap<&'static str, &'static str>;

/// A container of the compose file that runs a program.
struct Container {
    name: String,
    program: String,
    /// The arguments of the program.
    arguments: Vec<String>,
    variables: Texts,
    /// The files below `/run/secrets`, each with the name of its secret.
    secrets: BTreeMap<String, String>,
    volumes: String,
}
impl Container {
    fn all(text: &str) -> Vec<Container> {
        let anchors = anchors(text);
        let container = |(name, service): (String, String)| {
            let program = service.lines().find_map(|line| line.strip_prefix("    image: hearlers/"))?.to_owned();
            let (variables, secrets) = (variables(&service, &anchors), secrets(&service));
            let arguments = block(&service, "command").join(" ");
            let arguments = arguments.split(|c: char| "[], ".contains(c)).filter(|word| !word.is_empty());
            let (arguments, volumes) = (arguments.map(str::to_owned).collect(), block(&service, "volumes").join("\n"));
            Some(Container { name, program, arguments, variables, secrets, volumes })
        };
        section(text, "services").into_iter().filter_map(container).collect()
    }
    /// Returns the lines with which the program refuses its variables. Files of a container are those of `folder`.
    fn refused(&self, shell: &Shell, folder: &Path) -> Vec<String> {
        let variable = |(name, text): (&String, &Option<String>)| {
            let value = match text {
                Some(text) => interpolated(text, shell),
                None => (*shell.get(name.as_str())?).to_owned(),
            };
            Some((name.clone(), self.local(value, folder)))
        };
        let all: BTreeMap<String, String> = self.variables.iter().filter_map(variable).collect();
        // The programs of the tests are built without TLS for Kafka. They say so, and check nothing that comes after it, so
        // they are asked again without those settings.
        let mut others = all.clone();
        others.retain(|name, _| !KAFKA_LOGIN.contains(&name.as_str()));
        let lines = refused(&self.program, &all, &self.arguments).into_iter();
        let lines = lines.filter(|line| !line.contains("`kafka-tls`"));
        lines.chain(refused(&self.program, &others, &self.arguments)).collect()
    }
    /// Returns the value with a path of this machine in place of one in the container.
    fn local(&self, value: String, folder: &Path) -> String {
        if let Some(file) = value.strip_prefix("/run/secrets/") {
            let secret =
                self.secrets.get(file).unwrap_or_else(|| panic!("{} is not given the secret {file}", self.name));
            return folder.join("secrets").join(secret).display().to_string();
        }
        if value == IMAGES {
            assert!(self.volumes.contains(&format!("images:{IMAGES}")), "{} has no volume of images", self.name);
            return folder.join("images").display().to_string();
        }
        value
    }
}

/// Returns the variables below each anchor at the top level of the file, by its name.
fn anchors(text: &str) -> BTreeMap<&str, Texts> {
    let (mut anchors, mut last) = (BTreeMap::<&str, Texts>::new(), None);
    for line in text.lines().filter(|line| !line.trim().is_empty() && !line.trim_start().starts_with('#')) {
        if !line.starts_with(' ') {
            last = line.split_once(": &").map(|(_, name)| name.trim());
        } else if let Some(anchor) = last {
            let (key, value) = entry(line);
            anchors.entry(anchor).or_default().insert(key.to_owned(), value.map(str::to_owned));
        }
    }
    anchors
}
/// Returns the variables of a container, with those of the anchors that it merges.
fn variables(service: &str, anchors: &BTreeMap<&str, Texts>) -> Texts {
    let mut variables = Texts::new();
    for (key, value) in block(service, "environment").into_iter().map(entry) {
        if key == "<<" {
            let names = value.unwrap_or_default().split(|c: char| !c.is_ascii_lowercase() && c != '-');
            for name in names.filter(|name| !name.is_empty()) {
                let merged = anchors.get(name).unwrap_or_else(|| panic!("compose.yaml has no anchor {name}"));
                variables.extend(merged.clone());
            }
        } else {
            variables.insert(key.to_owned(), value.map(str::to_owned));
        }
    }
    variables
}
/// Returns the files of a container's secrets, each with the name of its secret: `- NAME`, or `- { source: NAME, target: FILE }`.
fn secrets(service: &str) -> BTreeMap<String, String> {
    let mut secrets = BTreeMap::new();
    for item in block(service, "secrets") {
        let mut names =
            item.split(|c: char| !c.is_ascii_alphanumeric() && !"_.".contains(c)).filter(|word| !word.is_empty());
        if item.contains("source:") {
            let (source, target) = (names.nth(1).unwrap_or_default(), names.nth(1).unwrap_or_default());
            secrets.insert(target.to_owned(), source.to_owned());
        } else {
            secrets.extend(names.map(|name| (name.to_owned(), name.to_owned())));
        }
    }
    secrets
}
/// Returns the lines below a key of a container, after the text on the line of the key, if there is one.
fn block<'a>(service: &'a str, key: &str) -> Vec<&'a str> {
    let begin = format!("    {key}:");
    let mut lines = service.lines().skip_while(|line| !line.starts_with(&begin));
    let Some(first) = lines.next() else { return Vec::new() };
    let inline = Some(first[begin.len()..].trim()).filter(|text| !text.is_empty());
    inline.into_iter().chain(lines.take_while(|line| line.starts_with("      "))).collect()
}
/// Splits a line `KEY: VALUE # COMMENT`, whose value may be absent.
fn entry(line: &str) -> (&str, Option<&str>) {
    let line = line.split(" #").next().unwrap_or_default().trim();
    let (key, value) = line.split_once(':').unwrap_or((line, ""));
    (key, Some(value.trim()).filter(|value| !value.is_empty()))
}
/// Replaces each `${NAME-DEFAULT}` and `${NAME:-DEFAULT}`, as compose does. With the colon an empty variable counts as not set.
fn interpolated(text: &str, shell: &Shell) -> String {
    let Some((before, rest)) = text.split_once("${") else { return text.to_owned() };
    let (reference, after) = rest.split_once('}').unwrap_or((rest, ""));
    let (name, default) = reference.split_once('-').unwrap_or((reference, ""));
    let given = shell.get(name.trim_end_matches(':')).copied();
    let given = given.filter(|value| !name.ends_with(':') || !value.is_empty());
    format!("{before}{}{}", given.unwrap_or(default), interpolated(after, shell))
}

/// Returns the command line of a program as the program itself defines it.
fn command_line(program: &str) -> Command {
    match program {
        "user-service" => user_service::config::Args::command(),
        "counseling-service" => counseling_service::config::Args::command(),
        "gateway" => gateway::Args::command(),
        other => panic!("no program {other}"),
    }
}
/// Returns the flag of each variable of a program.
fn flags(program: &str) -> BTreeMap<String, String> {
    let flag = |arg: &Arg| Some((arg.get_env()?.to_str()?.to_owned(), arg.get_long()?.to_owned()));
    command_line(program).get_arguments().filter_map(flag).collect()
}
/// Returns the variables of all programs.
fn known_variables() -> BTreeSet<String> {
    PROGRAMS.into_iter().flat_map(flags).map(|(variable, _)| variable).collect()
}
/// Returns the lines with which a program refuses these variables and arguments.
fn refused(program: &str, variables: &BTreeMap<String, String>, arguments: &[String]) -> Vec<String> {
    let flags = flags(program);
    let given = variables.iter().filter_map(|(name, value)| Some(format!("--{}={value}", flags.get(name)?)));
    let line: Vec<String> = [program.to_owned()].into_iter().chain(given).chain(arguments.iter().cloned()).collect();
    // The variables of the tests' own environment do not count.
    let command = command_line(program).mut_args(|arg| arg.env(None::<&'static str>));
    let matches = command.try_get_matches_from(line).unwrap_or_else(|error| panic!("{program}: {error}"));
    match program {
        "user-service" => lines(parsed::<user_service::config::Args>(&matches).service.check(program)),
        "counseling-service" => lines(parsed::<counseling_service::config::Args>(&matches).check()),
        _ => lines(parsed::<gateway::Args>(&matches).check()),
    }
}
fn parsed<T: FromArgMatches>(matches: &ArgMatches) -> T {
    T::from_arg_matches(matches).unwrap_or_else(|error| panic!("{error}"))
}
fn lines<T>(checked: Result<T, gateway::Wrong>) -> Vec<String> {
    checked.err().map(|wrong| wrong.0).unwrap_or_default()
}

/// Makes the secrets of a deployment in a folder of the test, or nothing on a machine without `openssl` whose run does not
/// require the programs that tests need.
fn made_secrets() -> Option<TempDir> {
    let is_required = std::env::var_os("CQRS_TEST_REQUIRE").is_some();
    if !is_required && process::Command::new("openssl").arg("version").output().is_err() {
        eprintln!("no openssl: make-secrets cannot be run, so this test checks nothing");
        return None;
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let script = folder.path().join("make-secrets");
    fs::copy(root().join("examples/deploy/make-secrets"), &script).expect("make-secrets can be copied");
    let made = process::Command::new("bash").arg(&script).output().expect("bash runs");
    assert!(made.status.success(), "make-secrets: {}", String::from_utf8_lossy(&made.stderr));
    Some(folder)
}

/// Variables with which a deployment uses everything that is optional.
fn full() -> Shell {
    Shell::from([
        ("HEARLERS_KAFKA_PREFIX", "staging."),
        ("HEARLERS_DATABASE_CONNECTIONS", "20"),
        ("HEARLERS_PUBLIC_URL", "https://hearlers.example"),
        ("HEARLERS_TRUSTED_PROXIES", "172.16.0.0/12"),
        ("HEARLERS_ALLOWED_ORIGINS", "https://app.example"),
        ("HEARLERS_ALLOWED_REDIRECTS", "https://app.example/login"),
        ("HEARLERS_ADMIN_ACCOUNTS", "kakao:123456"),
        ("HEARLERS_KAKAO_CLIENT", "0123456789"),
        ("HEARLERS_NAVER_CLIENT", "abcdef"),
        ("HEARLERS_LIMIT_ADDRESS", "off"),
        ("HEARLERS_LIMIT_VISITS", "10/hour"),
        ("HEARLERS_RESPONDER_URL", "https://model.example/v1"),
        ("HEARLERS_RESPONDER_MODEL", "a-model"),
        ("HEARLERS_RESPONDER_DAILY_CALLS", "100"),
        ("HEARLERS_IMAGES_DIR", ""),
        ("HEARLERS_IMAGES_S3_ENDPOINT", "https://s3.example"),
        ("HEARLERS_IMAGES_S3_BUCKET", "images"),
        ("HEARLERS_IMAGES_S3_KEY", "an-id"),
    ])
}

#[tokio::test]
async fn every_program_accepts_the_settings_of_the_compose_file() {
    let Some(folder) = made_secrets() else { return };
    let containers = Container::all(&compose());
    assert_eq!(containers.len(), PROGRAMS.len() + 3, "the three programs, the migrations of two, and a query side");
    // A secret that another company gives out is an empty file at first.
    fs::write(folder.path().join("secrets/images_s3_secret"), "the-secret-of-the-object-store").expect("it is written");
    for shell in [Shell::new(), full()] {
        for container in &containers {
            let refused = container.refused(&shell, folder.path());
            assert!(refused.is_empty(), "{} of compose.yaml does not start: {refused:#?}", container.name);
        }
    }
}

/// A rule that cannot fail proves nothing.
#[tokio::test]
async fn a_setting_that_a_program_needs_and_does_not_get_is_found() {
    let Some(folder) = made_secrets() else { return };
    for (program, variable) in [
        ("user-service", "HEARLERS_DATABASE"),
        ("user-service", "HEARLERS_DATABASE_TLS"),
        ("user-service", "HEARLERS_KAFKA"),
        ("user-service", "HEARLERS_KAFKA_USER"),
        ("user-service", "HEARLERS_TLS_KEY"),
        ("counseling-service", "HEARLERS_USER_SERVICE"),
        ("counseling-service", "HEARLERS_IMAGES_SECRET_FILE"),
        ("counseling-queries", "HEARLERS_VIEWS_FILE"),
        ("gateway", "HEARLERS_COUNSELING_SERVICE"),
        ("gateway", "HEARLERS_JWT_SECRET_FILE"),
        ("gateway", "HEARLERS_IMAGES_SECRET_FILE"),
    ] {
        let mut containers = Container::all(&compose());
        let container = containers.iter_mut().find(|container| container.name == program).expect("a container");
        assert!(container.variables.remove(variable).is_some(), "{program} has {variable}");
        let refused = container.refused(&Shell::new(), folder.path()).join("\n");
        assert!(refused.contains(variable.trim_end_matches("_FILE")), "{program} without {variable}: {refused}");
    }
    let mut containers = Container::all(&compose());
    let gateway = containers.iter_mut().find(|container| container.name == "gateway").expect("a container");
    gateway.variables.insert("HEARLERS_LISTEN".to_owned(), Some("everywhere".to_owned()));
    assert!(gateway.refused(&Shell::new(), folder.path()).join("\n").contains("HEARLERS_LISTEN"));
}

#[test]
fn every_setting_of_the_compose_file_is_one_of_a_program() {
    let text = compose();
    for Container { name, program, variables, .. } in Container::all(&text) {
        let flags = flags(&program);
        assert!(variables.len() > 10, "{name}: the variables were not read: {variables:?}");
        let is_known = |variable: &str| flags.contains_key(variable) || WITHOUT_A_FLAG.contains(&variable);
        let unknown: Vec<_> = variables.keys().filter(|variable| !is_known(variable)).collect();
        assert!(unknown.is_empty(), "{name}: {program} does not read {unknown:?}");
    }
    let known = known_variables();
    let unknown: Vec<_> = variables_in(&text).into_iter().filter(|name| !known.contains(*name)).collect();
    assert!(unknown.is_empty(), "compose.yaml names variables that no program reads: {unknown:?}");
}

#[test]
fn every_setting_of_a_program_is_in_the_compose_file_or_left_out_for_a_reason() {
    let containers = Container::all(&compose());
    for program in PROGRAMS {
        let container = containers.iter().find(|container| container.name == program).expect("a container");
        for name in flags(program).keys() {
            let name = name.strip_suffix("_FILE").unwrap_or(name);
            let is_set = [name, &format!("{name}_FILE")].iter().any(|name| container.variables.contains_key(*name));
            let is_left_out = LEFT_OUT.iter().any(|(of, left, _)| *left == name && (of.is_empty() || *of == program));
            assert!(is_set || is_left_out, "{program} in compose.yaml has no {name}; set it, or add it to LEFT_OUT");
            assert!(!is_set || !is_left_out, "{program} in compose.yaml has {name}, which is in LEFT_OUT");
        }
    }
    let known = known_variables();
    let gone: Vec<_> = LEFT_OUT.iter().filter(|(_, name, _)| !known.contains(*name)).collect();
    assert!(gone.is_empty(), "LEFT_OUT names settings that no program has: {gone:?}");
}

#[test]
fn the_script_without_docker_uses_flags_and_variables_of_the_programs() {
    let up = read(&root().join("examples/deploy/up")).replace("\\\n", " ");
    for program in PROGRAMS {
        let start = format!("\"$bin/{program}\"");
        let (_, line) = up.lines().find_map(|line| line.split_once(&start)).expect("the program is started");
        let flags: BTreeSet<String> = flags(program).into_values().collect();
        let used: Vec<_> = line.split_whitespace().filter_map(|word| word.strip_prefix("--")).collect();
        assert!(used.len() > 2, "the flags were not found: {line}");
        let unknown: Vec<_> = used.iter().filter(|flag| !flags.contains(**flag)).collect();
        assert!(unknown.is_empty(), "{program} in `up` has flags that it does not know: {unknown:?}");
    }
    let known = known_variables();
    let unknown: Vec<_> = variables_in(&up).into_iter().filter(|name| !known.contains(*name)).collect();
    assert!(unknown.is_empty(), "`up` names variables that no program reads: {unknown:?}");
}

#[test]
fn the_readme_lists_every_flag() {
    let text = read(&root().join("examples/deploy/README.md"));
    let listed: BTreeSet<&str> =
        text.split('`').skip(1).step_by(2).filter_map(|code| code.strip_prefix("--")).collect();
    let flags: BTreeSet<String> = PROGRAMS.into_iter().flat_map(flags).map(|(_, flag)| flag).collect();
    let missing: Vec<_> = flags.iter().filter(|flag| !listed.contains(flag.trim_end_matches("-file"))).collect();
    assert!(missing.is_empty(), "examples/deploy/README.md does not list {missing:?}");
    let is_known = |flag: &str| flags.contains(flag) || flag == "help" || flag.contains(' ');
    let unknown: Vec<_> = listed.into_iter().filter(|flag| !is_known(flag)).collect();
    assert!(unknown.is_empty(), "examples/deploy/README.md lists flags that no program has: {unknown:?}");
}

#[test]
fn the_text_of_a_compose_file_is_read_as_compose_reads_it() {
    let text = "x-common: &common\n  A: 1 # first\n  B:\n\nx-more: &more\n  C: ${C-c}\nservices:\n  one:\n    image: hearlers/gateway\n\
        \x20   command: [programs, list]\n    environment:\n      <<: [*common, *more]\n      # a comment\n      D: ${D:-d}:${E-e}\n\
        \x20   secrets:\n      - ca.crt\n      - { source: gateway.key, target: tls.key }\n    volumes: [\"a:/b\"]\n  two:\n    image: postgres:15\n";
    let containers = Container::all(text);
    let [one] = &containers[..] else { panic!("{} containers", containers.len()) };
    assert_eq!((&*one.name, &*one.program, &*one.volumes), ("one", "gateway", "[\"a:/b\"]"));
    assert_eq!(one.arguments, ["programs", "list"]);
    let text = |text: &str| Some(text.to_owned());
    let expected = [("A", text("1")), ("B", None), ("C", text("${C-c}")), ("D", text("${D:-d}:${E-e}"))];
    assert_eq!(one.variables, Texts::from(expected.map(|(name, text)| (name.to_owned(), text))));
    let secrets = [("ca.crt", "ca.crt"), ("tls.key", "gateway.key")];
    let secrets = secrets.map(|(file, secret)| (file.to_owned(), secret.to_owned()));
    assert_eq!(one.secrets, BTreeMap::from(secrets));
    assert_eq!(interpolated("${D:-d}:${E-e}", &Shell::new()), "d:e");
    assert_eq!(interpolated("${D:-d}:${E-e}", &Shell::from([("D", ""), ("E", "")])), "d:");
    assert_eq!(interpolated("a${D:-d}b", &Shell::from([("D", "x")])), "axb");
}

#[test]
fn every_container_is_hardened_and_has_its_networks() {
    let text = compose();
    let services = section(&text, "services");
    assert!(services.len() >= 9 && section(&text, "secrets").len() > 20, "the file was not read: {services:?}");
    for (name, service) in &services {
        assert!(service.contains("<<: *hardened") || service.contains("<<: *once"), "{name} is not hardened");
        assert!(service.contains("    networks: ["), "{name} is on the default network");
        assert!(!service.contains("privileged: true") && !service.contains("network_mode: host"), "{name}");
        assert!(
            !service.contains("PASSWORD:") && !service.contains("SECRET:"),
            "{name} has a secret in its environment"
        );
        let publishes = service.contains("    ports:");
        assert_eq!(publishes, name == "gateway", "{name}: only the gateway is reachable from outside");
    }
    let hardened = text.split("x-hardened:").nth(1).and_then(|rest| rest.split("\n\n").next()).unwrap_or_default();
    for setting in ["read_only: true", "cap_drop: [ALL]", "no-new-privileges:true", "pids_limit", "mem_limit", "cpus"] {
        assert!(hardened.contains(setting), "no {setting}");
    }
    for closed in ["calls", "data", "views"] {
        assert!(section(&text, "networks")[closed].contains("internal: true"), "{closed} has a way out");
    }
}

#[test]
fn every_secret_is_given_to_the_container_that_reads_it_and_is_made() {
    let text = compose();
    let secrets = section(&text, "secrets");
    let made = read(&root().join("examples/deploy/make-secrets"));
    for (name, secret) in &secrets {
        assert!(secret.contains(&format!("file: ./secrets/{name}")), "{name}: {secret}");
        let stem = name.trim_end_matches(".crt").trim_end_matches(".key").trim_end_matches(".pem");
        let stem = stem.trim_end_matches("_call_key");
        assert!(made.contains(stem), "make-secrets does not make {name}");
    }
    for (name, service) in section(&text, "services") {
        let given = service.split("    secrets:").nth(1).unwrap_or_default();
        for path in words(&service, "/run/secrets/") {
            let file = path.trim_start_matches("/run/secrets/");
            // The scripts of the databases compose the name of their role.
            let is_composed = file == "database_";
            assert!(is_composed || given.contains(file) || file.starts_with("tls."), "{name} is not given {file}");
        }
    }
}
