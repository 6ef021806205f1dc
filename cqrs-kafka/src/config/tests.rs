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
    for prefix in ["staging/", "a b", "é", "a\n"] {
        let refused = KafkaConfig { prefix: prefix.into(), ..base() }.validate().unwrap_err();
        assert!(matches!(refused, ConfigError::Name { field: "prefix", .. }), "{prefix:?}");
    }
    let with_length = |length| KafkaConfig { prefix: "p".repeat(length), ..base() }.validate();
    assert_eq!((with_length(1), with_length(248)), (Ok(()), Ok(())));
    let long = with_length(249).unwrap_err().to_string();
    assert_eq!(long, "length of the prefix: 249 is not between 0 and 248");
    let with_foreign = |prefix: &str, topic: &str| {
        KafkaConfig { prefix: prefix.into(), foreign_topics: [topic.to_owned()].into(), ..base() }.validate()
    };
    assert_eq!((with_foreign("", "legacy.orders"), with_foreign("a.", "legacy.orders")), (Ok(()), Ok(())));
    for topic in ["", "a topic", "staging.user.events.v1"] {
        assert_eq!(with_foreign("staging.", topic), Err(ConfigError::ForeignTopic(topic.into())));
    }
    let range = KafkaConfig { partitions: 0, ..base() }.validate().unwrap_err();
    assert_eq!(range.to_string(), "partitions: 0 is not between 1 and 10000");
}

#[test]
fn debug_output_of_the_configuration_hides_the_password() {
    let password = Secret::new("canary").into();
    let security = Security::SaslScram { mechanism: Scram::Sha512, username: "kim".into(), password, ca: None };
    let config = KafkaConfig { security, ..KafkaConfig::new("localhost:9092") };
    assert!(!format!("{config:?}").contains("canary"));
    let expected = if cfg!(feature = "tls") { Ok(()) } else { Err(ConfigError::NoTls) };
    assert_eq!(config.validate(), expected);
}
