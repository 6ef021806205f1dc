//! librdkafka's errors, as the framework knows them, and its log lines.
use crate::ConfigError;
use cqrs_core::transport::TransportError;
use rdkafka::{
    config::RDKafkaLogLevel,
    error::{KafkaError, RDKafkaErrorCode as Code},
};

/// Whether trying the same again can help.
fn is_permanent(code: Code) -> bool {
    use Code::{
        Authentication, ClusterAuthorizationFailed, GroupAuthorizationFailed, InvalidMessageSize, InvalidRecord,
        InvalidTopic, MessageSizeTooLarge, PolicyViolation, SaslAuthenticationFailed, TopicAuthorizationFailed,
    };
    matches!(
        code,
        MessageSizeTooLarge
            | InvalidMessageSize
            | InvalidRecord
            | InvalidTopic
            | PolicyViolation
            | TopicAuthorizationFailed
            | GroupAuthorizationFailed
            | ClusterAuthorizationFailed
            | SaslAuthenticationFailed
            | Authentication
    )
}

/// A broker's or the client's error about `what`.
pub(crate) fn of_code(what: &str, code: Code) -> TransportError {
    let message = format!("{what}: {code}");
    if is_permanent(code) { TransportError::permanent(message) } else { TransportError::transient(message) }
}

/// A broker's error about one record. Permanent is what is wrong with the record itself: a right that is missing may be given, and
/// parking every record meanwhile helps nobody.
pub(crate) fn of_record(what: &str, code: Code) -> TransportError {
    use Code::{InvalidMessageSize, InvalidRecord, MessageSizeTooLarge, PolicyViolation};
    let message = format!("{what}: {code}");
    match code {
        MessageSizeTooLarge | InvalidMessageSize | InvalidRecord | PolicyViolation => {
            TransportError::permanent(message)
        }
        _ => TransportError::transient(message),
    }
}

pub(crate) fn of(what: &str, error: &KafkaError) -> TransportError {
    match error.rdkafka_error_code() {
        Some(code) => of_code(what, code),
        None => TransportError::transient(format!("{what}: {error}")),
    }
}

/// Why a client cannot be made. librdkafka's own text would say the value, which may be a secret.
pub(crate) fn of_config(error: KafkaError) -> ConfigError {
    ConfigError::Refused(match error {
        KafkaError::ClientConfig(_, _, key, _) => key,
        KafkaError::ClientCreation(reason) => reason,
        other => other.to_string(),
    })
}

/// librdkafka tells of every lost connection; it comes back by itself.
pub(crate) fn passes_by_itself(code: Code) -> bool {
    use Code::{AllBrokersDown, BrokerTransportFailure, OperationTimedOut, PartitionEOF, PollExceeded, Resolve};
    matches!(code, AllBrokersDown | BrokerTransportFailure | OperationTimedOut | PartitionEOF | PollExceeded | Resolve)
}

pub(crate) fn log(level: RDKafkaLogLevel, facility: &str, message: &str) {
    use RDKafkaLogLevel::{Alert, Critical, Debug, Emerg, Error, Info, Notice, Warning};
    if facility == "CONFWARN" {
        return tracing::debug!(target: "librdkafka", facility, "{message}"); // our own settings: chosen, not mistaken
    }
    match level {
        Emerg | Alert | Critical | Error => tracing::error!(target: "librdkafka", facility, "{message}"),
        Warning => tracing::warn!(target: "librdkafka", facility, "{message}"),
        Notice | Info => tracing::info!(target: "librdkafka", facility, "{message}"),
        Debug => tracing::debug!(target: "librdkafka", facility, "{message}"),
    }
}
