//! Tests of valid and invalid settings, and of secrets in error messages.
use super::{Config, Database, DatabaseArgs, EdgeArgs, KafkaArgs, Wrong};
use clap::Parser;
use cqrs_core::storage::postgres::{Pooling, TlsMode};
use cqrs_kafka::{KafkaConfig, Security};
use std::{fs, time::Duration};

#[derive(Parser)]
struct Program {
    #[command(flatten)]
    database: DatabaseArgs,
    #[command(flatten)]
    kafka: KafkaArgs,
}

/// Returns the validated settings, or the error lines.
fn database(flags: &str) -> Result<Database, String> {
    let mut wrong = Vec::new();
    let program = Program::parse_from(["program"].into_iter().chain(flags.split_whitespace()));
    let checked = program.database.check("user", &mut wrong);
    assert_eq!(checked.is_none(), !wrong.is_empty(), "{wrong:?}");
    checked.ok_or_else(|| wrong.join("\n"))
}
fn kafka(flags: &str) -> Result<KafkaConfig, String> {
    let mut wrong = Vec::new();
    let program = Program::parse_from(["program"].into_iter().chain(flags.split_whitespace()));
    let checked = program.kafka.check("user", &mut wrong);
    assert_eq!(checked.is_none(), !wrong.is_empty(), "{wrong:?}");
    checked.ok_or_else(|| wrong.join("\n"))
}

#[test]
fn a_database_url_alone_gives_the_defaults() {
    let Database { config, connections, acquire_timeout, start_timeout } =
        database("--database postgres://localhost/users").unwrap();
    assert_eq!((connections, acquire_timeout, start_timeout), (10, Duration::from_secs(3), Duration::from_secs(60)));
    assert_eq!((config.tls.mode, config.statement_timeout), (TlsMode::Disable, Duration::from_secs(30)));
    assert_eq!(config.application_name.as_deref(), Some("user"));
}

#[test]
fn flags_override_the_defaults_and_the_url() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca");
    fs::write(&file, "the contents are not read").unwrap();
    let flags = format!(
        "--database postgres://kim@db/users?sslmode=require --database-password hunter2 --database-tls verify-full \
         --database-ca {} --database-connections 3 --database-acquire-timeout 1 --database-statement-timeout 5 \
         --database-pooling transaction",
        file.display()
    );
    let database = database(&flags).unwrap();
    assert_eq!((database.connections, database.acquire_timeout), (3, Duration::from_secs(1)));
    assert_eq!(database.config.tls.mode, TlsMode::VerifyFull, "a flag takes precedence over the URL");
    assert_eq!(database.config.statement_timeout, Duration::from_secs(5));
    assert_eq!(database.config.pooling, Pooling::Transaction);
    assert!(!format!("{database:?}").contains("hunter2"));
}

#[test]
fn a_database_on_another_machine_needs_tls_unless_plaintext_is_allowed() {
    for local in ["localhost", "127.0.0.1:5432", "[::1]"] {
        assert!(database(&format!("--database postgres://{local}/users")).is_ok(), "{local}");
    }
    for remote in ["db", "10.0.0.1:5432", "[fd00::1]", "localhost.example"] {
        let url = format!("--database postgres://kim:hunter2@{remote}/users");
        let refused = database(&url).unwrap_err();
        assert!(refused.starts_with("HEARLERS_DATABASE_TLS (--database-tls)"), "{refused}");
        assert!(refused.contains("--database-allow-plaintext") && !refused.contains("hunter2"), "{refused}");
        assert!(database(&format!("{url} --database-allow-plaintext false")).is_err());
        assert!(database(&format!("{url} --database-allow-plaintext")).is_ok());
        assert!(database(&format!("{url} --database-tls require")).is_ok());
        assert!(database(&format!("{url}?sslmode=require")).is_ok());
    }
}

#[test]
fn invalid_database_settings_are_reported_by_name() {
    let url = "--database postgres://kim:hunter2@localhost/users";
    for (flags, name) in [
        ("", "HEARLERS_DATABASE (--database): postgres://"),
        ("--database mysql://kim:hunter2@db/users", "HEARLERS_DATABASE (--database): postgres://"),
        ("--database postgres://kim:hunter2@db/users?options=x", "HEARLERS_DATABASE (--database): unknown parameter"),
        (&format!("{url} --database-password hunter2"), "HEARLERS_DATABASE_PASSWORD"),
        (&format!("{url} --database-password-file /nowhere"), "HEARLERS_DATABASE_PASSWORD_FILE"),
        (&format!("{url} --database-tls prefer"), "HEARLERS_DATABASE_TLS"),
        (&format!("{url} --database-ca /nowhere"), "HEARLERS_DATABASE_TLS"),
        (&format!("{url} --database-tls verify-ca --database-ca /nowhere"), "HEARLERS_DATABASE_TLS"),
        (&format!("{url} --database-certificate /nowhere"), "HEARLERS_DATABASE_CERTIFICATE"),
        (&format!("{url} --database-connections 0"), "HEARLERS_DATABASE_CONNECTIONS"),
        (&format!("{url} --database-acquire-timeout 61"), "HEARLERS_DATABASE_ACQUIRE_TIMEOUT"),
        (&format!("{url} --database-start-timeout 0"), "HEARLERS_DATABASE_START_TIMEOUT"),
        (&format!("{url} --database-statement-timeout soon"), "HEARLERS_DATABASE_STATEMENT_TIMEOUT"),
        (&format!("{url} --database-pooling statement"), "HEARLERS_DATABASE_POOLING"),
    ] {
        let message = database(flags).unwrap_err();
        assert!(message.contains(name) && !message.contains("hunter2"), "{name} in {message}");
    }
}

#[test]
fn kafka_defaults_to_plaintext() {
    let config = kafka("--kafka a:1,b:2").unwrap();
    assert_eq!((config.brokers.as_str(), config.client_id.as_str()), ("a:1,b:2", "user"));
    assert_eq!(config.prefix, "");
    assert_eq!(kafka("--kafka a:1 --kafka-prefix staging.").unwrap().prefix, "staging.");
    assert!(matches!(config.security, Security::Plaintext) && config.foreign_topics.is_empty());
    let foreign =
        kafka("--kafka a:1 --kafka-prefix staging. --kafka-foreign-topics legacy.orders,legacy.users").unwrap();
    assert_eq!(foreign.foreign_topics, ["legacy.orders", "legacy.users"].map(str::to_owned).into());
}

#[test]
fn invalid_kafka_settings_are_reported_by_name() {
    for (flags, name) in [
        ("", "HEARLERS_KAFKA (--kafka)"),
        ("--kafka nowhere", "HEARLERS_KAFKA (--kafka)"),
        ("--kafka a:1 --kafka-prefix staging/", "HEARLERS_KAFKA_PREFIX (--kafka-prefix)"),
        ("--kafka nowhere --kafka-prefix staging/", "HEARLERS_KAFKA_PREFIX (--kafka-prefix)"),
        (
            "--kafka a:1 --kafka-prefix staging. --kafka-foreign-topics legacy.orders,staging.user.events.v1",
            "HEARLERS_KAFKA_FOREIGN_TOPICS (--kafka-foreign-topics)",
        ),
        ("--kafka a:1 --kafka-security sasl_plain", "HEARLERS_KAFKA_SECURITY"),
        ("--kafka a:1 --kafka-user kim --kafka-password hunter2", "HEARLERS_KAFKA_SECURITY"),
        ("--kafka a:1 --kafka-ca /nowhere", "HEARLERS_KAFKA_SECURITY"),
        ("--kafka a:1 --kafka-security tls --kafka-password hunter2", "HEARLERS_KAFKA_SECURITY"),
        ("--kafka a:1 --kafka-security tls --kafka-certificate /c", "HEARLERS_KAFKA_CERTIFICATE"),
        ("--kafka a:1 --kafka-security tls --kafka-key-password hunter2", "HEARLERS_KAFKA_CERTIFICATE"),
        ("--kafka a:1 --kafka-security scram-sha-512", "HEARLERS_KAFKA_USER"),
        ("--kafka a:1 --kafka-security scram-sha-512 --kafka-password hunter2", "HEARLERS_KAFKA_USER"),
        ("--kafka nowhere --kafka-security nothing", "HEARLERS_KAFKA (--kafka)"),
    ] {
        let message = kafka(flags).unwrap_err();
        assert!(message.contains(name) && !message.contains("hunter2"), "{name} in {message}");
    }
    #[cfg(feature = "kafka-tls")]
    {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("password");
        std::fs::write(&file, "hunter2\n").unwrap();
        let flags = "--kafka a:1 --kafka-security scram-sha-256 --kafka-user kim --kafka-password-file";
        let config = kafka(&format!("{flags} {}", file.display())).unwrap();
        let Security::SaslScram { password: cqrs_kafka::Password::File(found), .. } = config.security else {
            panic!("the password is not read again: {config:?}");
        };
        assert_eq!(found, file);
    }
    let scram = kafka("--kafka a:1 --kafka-security scram-sha-256 --kafka-user kim --kafka-password hunter2");
    let shown = format!("{scram:?}");
    assert!(!shown.contains("hunter2"), "{shown}");
    assert_eq!(scram.is_ok(), cfg!(feature = "kafka-tls"), "{shown}");
}

#[derive(Parser)]
struct Service {
    #[command(flatten)]
    args: EdgeArgs,
}
fn service(flags: &str) -> Result<Config, Wrong> {
    Service::parse_from(["user-service"].into_iter().chain(flags.split_whitespace())).args.check("user-service")
}

#[test]
fn all_invalid_settings_are_reported_at_once_without_secrets() {
    let flags = "--listen here --operations there --database kim:secret@host --caller-keys hunter2";
    let wrong = service(flags).unwrap_err().to_string();
    for name in [
        "HEARLERS_LISTEN (--listen)",
        "HEARLERS_OPERATIONS (--operations)",
        "HEARLERS_DATABASE (--database)",
        "HEARLERS_KAFKA (--kafka)",
        "HEARLERS_CALLER_KEYS (--caller-keys)",
    ] {
        assert!(wrong.contains(name), "{name} in {wrong}");
    }
    assert!(!wrong.contains("kim:") && !wrong.contains("hunter2"), "{wrong}");
}

#[test]
fn valid_settings_are_accepted_and_print_no_secret() {
    let flags = "--database postgres://kim:hunter2@localhost/users --kafka a:1,b:2 \
                 --caller-keys gateway=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo= \
                 --operators kim=hunter2-hunter2-hunter2-hunter2-hunter2";
    let config = service(flags).unwrap();
    assert_eq!((config.listen.port(), config.operations), (50051, None));
    assert_eq!(config.kafka.as_ref().map(|kafka| &*kafka.brokers), Some("a:1,b:2"));
    assert!(!format!("{config:?}").contains("hunter2"));
}
