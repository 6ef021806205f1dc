//! Converts librdkafka's errors to those of the framework, and passes its log lines on to `tracing`.
use crate::ConfigError;
use cqrs_core::transport::TransportError;
use rdkafka::{
    config::RDKafkaLogLevel,
    error::{KafkaError, RDKafkaErrorCode as Code},
};

/// Returns whether the same request can never succeed.
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

/// Converts an error code of the broker or the client. `subject` begins the message.
pub(crate) fn from_code(subject: &str, code: Code) -> TransportError {
    let message = format!("{subject}: {code}");
    if is_permanent(code) { TransportError::permanent(message) } else { TransportError::transient(message) }
}

/// Converts an error code of the broker or the client about one record. Only an error in the record itself is permanent. A missing
/// permission is transient, because it can be granted; as a permanent error it would park every record until then. It is an
/// error of the topic alone, as are a missing topic and missing replicas, so that the relay goes on with the others.
pub(crate) fn from_record_code(subject: &str, code: Code) -> TransportError {
    use Code::{
        InvalidMessageSize, InvalidRecord, InvalidTopic, LeaderNotAvailable, MessageSizeTooLarge, NotEnoughReplicas,
        NotEnoughReplicasAfterAppend, PolicyViolation, TopicAuthorizationFailed, UnknownPartition, UnknownTopic,
        UnknownTopicOrPartition,
    };
    let message = format!("{subject}: {code}");
    match code {
        MessageSizeTooLarge | InvalidMessageSize | InvalidRecord | PolicyViolation => {
            TransportError::permanent(message)
        }
        TopicAuthorizationFailed
        | InvalidTopic
        | UnknownTopic
        | UnknownTopicOrPartition
        | UnknownPartition
        | NotEnoughReplicas
        | NotEnoughReplicasAfterAppend
        | LeaderNotAvailable => TransportError::transient(message).of_topic(),
        _ => TransportError::transient(message),
    }
}

/// Converts an error of the client library about one record, as [`from_record_code`] does.
pub(crate) fn from_record(subject: &str, error: &KafkaError) -> TransportError {
    match error.rdkafka_error_code() {
        Some(code) => from_record_code(subject, code),
        None => TransportError::transient(format!("{subject}: {error}")),
    }
}

/// Converts an error of the client library. `subject` begins the message. An error without a code is transient.
pub(crate) fn from_kafka(subject: &str, error: &KafkaError) -> TransportError {
    match error.rdkafka_error_code() {
        Some(code) => from_code(subject, code),
        None => TransportError::transient(format!("{subject}: {error}")),
    }
}

/// Converts an error in the creation of a client. It leaves out librdkafka's own text, which contains the value of the
/// setting: that may be a secret.
pub(crate) fn from_client_creation(error: KafkaError) -> ConfigError {
    ConfigError::Refused(match error {
        KafkaError::ClientConfig(_, _, key, _) => key,
        KafkaError::ClientCreation(reason) => reason,
        other => other.to_string(),
    })
}

/// Returns whether librdkafka recovers from this error by itself. It reports every lost connection, and connects again.
pub(crate) fn is_recovered_by_client(code: Code) -> bool {
    use Code::{AllBrokersDown, BrokerTransportFailure, OperationTimedOut, PartitionEOF, PollExceeded, Resolve};
    matches!(code, AllBrokersDown | BrokerTransportFailure | OperationTimedOut | PartitionEOF | PollExceeded | Resolve)
}

/// Passes a log line of librdkafka on to `tracing`.
pub(crate) fn log(level: RDKafkaLogLevel, facility: &str, message: &str) {
    use RDKafkaLogLevel::{Alert, Critical, Debug, Emerg, Error, Info, Notice, Warning};
    if facility == "CONFWARN" {
        return tracing::debug!(target: "librdkafka", facility, "{message}"); // warns about settings that are intended
    }
    match level {
        Emerg | Alert | Critical | Error => tracing::error!(target: "librdkafka", facility, "{message}"),
        Warning => tracing::warn!(target: "librdkafka", facility, "{message}"),
        Notice | Info => tracing::info!(target: "librdkafka", facility, "{message}"),
        Debug => tracing::debug!(target: "librdkafka", facility, "{message}"),
    }
}
