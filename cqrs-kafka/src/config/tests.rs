//! What is refused, and that secrets stay secret.
use super::*;

#[test]
fn what_cannot_work_is_refused() {
    let base = || KafkaConfig::new("localhost:9092");
    assert_eq!(base().validate(), Ok(()));
    assert_eq!(KafkaConfig::new("[::1]:9092,b-2:1").validate(), Ok(()));
    for brokers in ["", "localhost", "a:9092,", "PLAINTEXT://a:9092", "a:0", "a b:1"] {
        assert!(matches!(KafkaConfig::new(brokers).validate(), Err(ConfigError::Broker(_))), "{brokers}");
    }
    let name = KafkaConfig { instance: Some("a\nb".into()), ..base() }.validate().unwrap_err();
    assert!(matches!(name, ConfigError::Name { field: "instance", .. }));
    let none = KafkaConfig { partitions: 0, ..base() }.validate().unwrap_err();
    assert_eq!(none.to_string(), "partitions: 0 is not between 1 and 10000");
}

#[test]
fn a_password_is_never_printed() {
    let password = Secret::new("canary");
    let security = Security::SaslScram { mechanism: Scram::Sha512, username: "kim".into(), password, ca: None };
    let config = KafkaConfig { security, ..KafkaConfig::new("localhost:9092") };
    assert!(!format!("{config:?}").contains("canary"));
    let allowed = if cfg!(feature = "tls") { Ok(()) } else { Err(ConfigError::NoTls) };
    assert_eq!(config.validate(), allowed);
}
