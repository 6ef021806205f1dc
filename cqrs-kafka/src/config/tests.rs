//! Validation of the configuration, and secrets in its output.
use super::*;

#[test]
fn an_invalid_configuration_is_refused() {
    let base = || KafkaConfig::new("localhost:9092");
    assert_eq!(base().validate(), Ok(()));
    assert_eq!(KafkaConfig::new("[::1]:9092,b-2:1").validate(), Ok(()));
    for brokers in ["", "localhost", "a:9092,", "PLAINTEXT://a:9092", "a:0", "a b:1"] {
        assert!(matches!(KafkaConfig::new(brokers).validate(), Err(ConfigError::Broker(_))), "{brokers}");
    }
    let name = KafkaConfig { instance: Some("a\nb".into()), ..base() }.validate().unwrap_err();
    assert!(matches!(name, ConfigError::Name { field: "instance", .. }));
    let range = KafkaConfig { partitions: 0, ..base() }.validate().unwrap_err();
    assert_eq!(range.to_string(), "partitions: 0 is not between 1 and 10000");
}

#[test]
fn debug_output_of_the_configuration_hides_the_password() {
    let password = Secret::new("canary");
    let security = Security::SaslScram { mechanism: Scram::Sha512, username: "kim".into(), password, ca: None };
    let config = KafkaConfig { security, ..KafkaConfig::new("localhost:9092") };
    assert!(!format!("{config:?}").contains("canary"));
    let expected = if cfg!(feature = "tls") { Ok(()) } else { Err(ConfigError::NoTls) };
    assert_eq!(config.validate(), expected);
}
