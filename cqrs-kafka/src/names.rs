//! The names of topics and groups on the brokers: the names of the code with the configured prefix in front.
use crate::ConfigError;
use cqrs_core::transport::TransportError;

/// The number of characters that Kafka allows for the name of a topic.
pub(crate) const LONGEST_TOPIC: usize = 249;

/// Translates between the names of the code and those on the brokers.
#[derive(Debug, Clone)]
pub(crate) struct Names {
    prefix: String,
}
impl Names {
    pub(crate) fn new(prefix: &str) -> Self {
        Names { prefix: prefix.to_owned() }
    }
    /// Returns the name of a topic or group on the brokers.
    pub(crate) fn on_broker(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }
    /// Returns the name in the code of a topic on the brokers.
    pub(crate) fn in_code<'a>(&self, name: &'a str) -> &'a str {
        name.strip_prefix(&self.prefix).unwrap_or(name)
    }
    /// Returns the names of topics on the brokers, in this order.
    ///
    /// # Errors
    /// Fails for a name that no broker accepts, with a [`ConfigError::Topic`] as the source.
    pub(crate) fn topics(&self, topics: &[&str]) -> Result<Vec<String>, TransportError> {
        let names: Vec<_> = topics.iter().map(|topic| self.on_broker(topic)).collect();
        match names.iter().find(|name| !is_topic(name)) {
            None => Ok(names),
            Some(refused) => Err(TransportError::permanent("a topic has a name that Kafka does not accept")
                .because(ConfigError::Topic(refused.clone()))),
        }
    }
}

/// Returns whether every character of a name is one that Kafka accepts.
pub(crate) fn has_valid_characters(name: &str) -> bool {
    name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'))
}

/// Returns whether a broker accepts this name of a topic.
fn is_topic(name: &str) -> bool {
    has_valid_characters(name) && !matches!(name, "" | "." | "..") && name.len() <= LONGEST_TOPIC
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_translated_there_and_back() {
        let names = Names::new("staging.");
        assert_eq!(names.on_broker("user.events.v1"), "staging.user.events.v1");
        assert_eq!(names.in_code("staging.user.events.v1"), "user.events.v1");
        assert_eq!(names.in_code("staging.staging.v1"), "staging.v1", "the prefix is taken away once");
        assert_eq!(Names::new("").on_broker("user.events.v1"), "user.events.v1");
    }

    #[test]
    fn a_topic_that_is_too_long_with_its_prefix_is_refused() {
        let names = Names::new("staging.");
        let topic = |length| "t".repeat(length);
        assert_eq!(names.topics(&["a", &topic(241)]).unwrap()[1].len(), LONGEST_TOPIC);
        for (prefix, refused) in [("staging.", topic(242)), ("", "a topic".into()), ("", "".into()), (".", ".".into())]
        {
            let error = Names::new(prefix).topics(&["a", &refused]).unwrap_err();
            assert!(error.permanent, "{error}");
            let source = error.source.unwrap().downcast::<ConfigError>().unwrap();
            assert_eq!(*source, ConfigError::Topic(format!("{prefix}{refused}")));
        }
    }
}
