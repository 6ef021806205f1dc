//! The servers and programs that a test may need, and the errors when one is unavailable.

use std::fmt;

/// A server or program that a test may need and a machine may not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    Postgres,
    Kafka,
    Chromium,
    PgBouncer,
    Redis,
}

impl Part {
    const ALL: [Part; 5] = [Part::Postgres, Part::Kafka, Part::Chromium, Part::PgBouncer, Part::Redis];

    /// Returns the parts listed in `CQRS_TEST_REQUIRE`, which must be available in this run.
    ///
    /// # Errors
    /// Fails for an unknown name, because a misspelt requirement would otherwise require nothing.
    ///
    /// ```
    /// let required = test_support::Part::required()?;
    /// println!("this run requires {required:?}");
    /// # Ok::<(), String>(())
    /// ```
    pub fn required() -> Result<Vec<Part>, String> {
        Part::parse_list(&std::env::var("CQRS_TEST_REQUIRE").unwrap_or_default())
    }

    fn parse_list(list: &str) -> Result<Vec<Part>, String> {
        let words = list.split(',').map(str::trim).filter(|word| !word.is_empty());
        words
            .map(|word| Part::ALL.into_iter().find(|part| part.name() == word).ok_or(word))
            .collect::<Result<_, _>>()
            .map_err(|word| {
                format!(
                    "CQRS_TEST_REQUIRE names {word:?}; the parts are postgres, kafka, chromium, pgbouncer and redis"
                )
            })
    }

    fn name(self) -> &'static str {
        match self {
            Part::Postgres => "postgres",
            Part::Kafka => "kafka",
            Part::Chromium => "chromium",
            Part::PgBouncer => "pgbouncer",
            Part::Redis => "redis",
        }
    }

    pub(crate) fn missing(self, reason: impl fmt::Display) -> Unavailable {
        Unavailable::Missing { part: self, reason: reason.to_string() }
    }

    pub(crate) fn broken(self, reason: impl fmt::Display) -> Unavailable {
        Unavailable::Broken { part: self, reason: reason.to_string() }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The error when a part is unavailable.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Unavailable {
    /// The part is not installed. A test that needs it is ignored, unless the part is required.
    #[error("no {part} on this machine: {reason}")]
    Missing {
        /// The missing part.
        part: Part,
        /// The places that were searched, and the way to install it.
        reason: String,
    },
    /// The part is installed but does not work. This always fails the test.
    #[error("{part} is installed but does not work: {reason}")]
    Broken {
        /// The broken part.
        part: Part,
        /// Its error message.
        reason: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_requirement_is_an_error() {
        assert_eq!(Part::parse_list(""), Ok(vec![]));
        assert_eq!(Part::parse_list("kafka, postgres"), Ok(vec![Part::Kafka, Part::Postgres]));
        assert!(Part::parse_list("kafka,postgresql").unwrap_err().contains("\"postgresql\""));
    }
}
