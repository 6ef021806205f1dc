//! The parts that a test may need, and what is said when one is not there.

use std::fmt;

/// Something real that a test may need and a machine may not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// A PostgreSQL server.
    Postgres,
    /// An Apache Kafka node.
    Kafka,
    /// A Chromium browser.
    Chromium,
}

impl Part {
    const ALL: [Part; 3] = [Part::Postgres, Part::Kafka, Part::Chromium];

    /// The parts listed in `CQRS_TEST_REQUIRE`, which must be there on this run.
    ///
    /// # Errors
    /// A name that is no part. A misspelt requirement would otherwise require nothing.
    ///
    /// ```
    /// let required = test_support::Part::required()?;
    /// println!("this run insists on {required:?}");
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
            .map_err(|word| format!("CQRS_TEST_REQUIRE names {word:?}; the parts are postgres, kafka and chromium"))
    }

    fn name(self) -> &'static str {
        match self {
            Part::Postgres => "postgres",
            Part::Kafka => "kafka",
            Part::Chromium => "chromium",
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

/// Why a test cannot have a part.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Unavailable {
    /// The machine does not have it: a test that needs it is ignored, unless the part is required.
    #[error("no {part} on this machine: {reason}")]
    Missing {
        /// What was looked for.
        part: Part,
        /// Where, and how to get it.
        reason: String,
    },
    /// The machine has it, and it does not work: always a failure.
    #[error("{part} is on this machine but does not work: {reason}")]
    Broken {
        /// What was tried.
        part: Part,
        /// What it said.
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
