//! The names of topics and groups on the brokers: the names of the code with the configured prefix in front, except for
//! topics of other deployments.
use crate::ConfigError;
use cqrs_core::transport::TransportError;
use std::collections::BTreeSet;

/// The number of characters that Kafka allows for the name of a topic.
pub(crate) const LONGEST_TOPIC: usize = 249;

/// Translates between the names of the code and those on the brokers.
#[derive(Debug, Clone)]
pub(crate) struct Names {
    prefix: String,
    /// Topics of other deployments, which have the same name in the code and on the brokers.
    foreign: BTreeSet<String>,
}
impl Names {
    pub(crate) fn new(prefix: &str, foreign: &BTreeSet<String>) -> Self {
        Names { prefix: prefix.to_owned(), foreign: foreign.clone() }
    }
    /// Returns the name of a group on the brokers.
    pub(crate) fn group(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }
    /// Returns the name of a topic on the brokers.
    pub(crate) fn topic(&self, name: &str) -> String {
        if self.is_foreign(name) { name.to_owned() } else { format!("{}{name}", self.prefix) }
    }
    /// Returns whether a topic belongs to another deployment.
    pub(crate) fn is_foreign(&self, topic: &str) -> bool {
        self.foreign.contains(topic)
    }
    /// Returns the name in the code of a topic on the brokers.
    pub(crate) fn in_code<'a>(&self, name: &'a str) -> &'a str {
        if self.is_foreign(name) { name } else { name.strip_prefix(&self.prefix).unwrap_or(name) }
    }
    /// Returns the names of topics on the brokers, in this order.
    ///
    /// # Errors
    /// Fails for a name that no broker accepts, with a [`ConfigError::Topic`] as the source.
    pub(crate) fn topics(&self, topics: &[&str]) -> Result<Vec<String>, TransportError> {
        let names: Vec<_> = topics.iter().map(|topic| self.topic(topic)).collect();
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
pub(crate) fn is_topic(name: &str) -> bool {
    has_valid_characters(name) && !matches!(name, "" | "." | "..") && name.len() <= LONGEST_TOPIC
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(prefix: &str) -> Names {
        Names::new(prefix, &BTreeSet::new())
    }

    #[test]
    fn a_name_is_translated_there_and_back() {
        let staging = names("staging.");
        assert_eq!(staging.topic("user.events.v1"), "staging.user.events.v1");
        assert_eq!(staging.in_code("staging.user.events.v1"), "user.events.v1");
        assert_eq!(staging.in_code("staging.staging.v1"), "staging.v1", "the prefix is taken away once");
        assert_eq!(names("").topic("user.events.v1"), "user.events.v1");
    }

    #[test]
    fn a_topic_of_another_deployment_keeps_its_name_and_its_group_has_the_prefix() {
        let staging = Names::new("staging.", &["legacy.orders".to_owned()].into());
        assert_eq!(staging.topic("legacy.orders"), "legacy.orders");
        assert_eq!(staging.in_code("legacy.orders"), "legacy.orders");
        assert_eq!(staging.topic("orders"), "staging.orders");
        assert_eq!(staging.group("legacy.orders"), "staging.legacy.orders");
    }

    #[test]
    fn a_topic_that_is_too_long_with_its_prefix_is_refused() {
        let topic = |length| "t".repeat(length);
        assert_eq!(names("staging.").topics(&["a", &topic(241)]).unwrap()[1].len(), LONGEST_TOPIC);
        for (prefix, refused) in [("staging.", topic(242)), ("", "a topic".into()), ("", "".into()), (".", ".".into())]
        {
            let error = names(prefix).topics(&["a", &refused]).unwrap_err();
            assert!(error.permanent, "{error}");
            let source = error.source.unwrap().downcast::<ConfigError>().unwrap();
            assert_eq!(*source, ConfigError::Topic(format!("{prefix}{refused}")));
        }
    }
}
