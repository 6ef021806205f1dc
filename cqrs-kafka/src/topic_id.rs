//! Reads the ids of topics, which a broker gives at their creation. A broker before Kafka 2.8 gives none.
#![allow(unsafe_code, reason = "the safe interface of the client library has no function for topic ids")]
use crate::error;
use cqrs_core::transport::TransportError;
use rdkafka::{
    ClientContext,
    bindings::{
        rd_kafka_AdminOptions_destroy, rd_kafka_AdminOptions_new, rd_kafka_AdminOptions_set_broker,
        rd_kafka_AdminOptions_set_request_timeout, rd_kafka_DescribeTopics, rd_kafka_DescribeTopics_result_topics,
        rd_kafka_TopicCollection_destroy, rd_kafka_TopicCollection_of_topic_names, rd_kafka_TopicDescription_error,
        rd_kafka_TopicDescription_name, rd_kafka_TopicDescription_topic_id, rd_kafka_Uuid_base64str,
        rd_kafka_admin_op_t, rd_kafka_error_code, rd_kafka_event_DescribeTopics_result, rd_kafka_event_destroy,
        rd_kafka_event_error, rd_kafka_metadata, rd_kafka_metadata_destroy, rd_kafka_queue_destroy, rd_kafka_queue_new,
        rd_kafka_queue_poll, rd_kafka_t,
    },
    client::Client,
    error::{IsError, RDKafkaErrorCode},
    types::RDKafkaRespErr,
};
use std::{
    ffi::{CStr, CString, c_char, c_int},
    ptr::{null, null_mut},
    slice,
    time::{Duration, Instant},
};

/// The id that stands for none.
const NO_ID: &str = "AAAAAAAAAAAAAAAAAAAAAA";

/// Returns the id of each topic by name. A topic that does not exist is left out. Blocks up to the time-out.
pub(crate) fn topic_ids<C: ClientContext>(
    client: &Client<C>,
    topics: &[String],
    timeout: Duration,
) -> Result<Vec<(String, String)>, TransportError> {
    let invalid = |_| TransportError::permanent("the name of a topic has a NUL");
    let names: Vec<CString> =
        topics.iter().map(|topic| CString::new(topic.as_str())).collect::<Result<_, _>>().map_err(invalid)?;
    let mut pointers: Vec<*const c_char> = names.iter().map(|name| name.as_ptr()).collect();
    let started = Instant::now();
    let failed = |code| error::from_code("the topics cannot be described", code);
    // SAFETY: the client outlives the call.
    let broker = unsafe { responding_broker(client.native_ptr(), to_c(timeout)) }.map_err(failed)?;
    let milliseconds = to_c(timeout.saturating_sub(started.elapsed()));
    // SAFETY: the client outlives the call. Everything that is created here is destroyed below, once, and the texts of the
    // result are copied before its event is destroyed.
    unsafe {
        let rk = client.native_ptr();
        let collection = rd_kafka_TopicCollection_of_topic_names(pointers.as_mut_ptr(), pointers.len());
        let options = rd_kafka_AdminOptions_new(rk, rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS);
        rd_kafka_AdminOptions_set_request_timeout(options, milliseconds, null_mut(), 0);
        // Every broker knows the ids. Without this, the request waits until the cluster has a controller.
        rd_kafka_AdminOptions_set_broker(options, broker, null_mut(), 0);
        let queue = rd_kafka_queue_new(rk);
        rd_kafka_DescribeTopics(rk, collection, options, queue);
        // librdkafka ends the request by its time-out, so there is always an event soon after it.
        let event = rd_kafka_queue_poll(queue, milliseconds.saturating_add(1_000));
        let found = match event.is_null() {
            true => Err(RDKafkaErrorCode::OperationTimedOut),
            false => read(event),
        };
        if !event.is_null() {
            rd_kafka_event_destroy(event);
        }
        rd_kafka_queue_destroy(queue);
        rd_kafka_AdminOptions_destroy(options);
        rd_kafka_TopicCollection_destroy(collection);
        found.map_err(failed)
    }
}

fn to_c(time: Duration) -> c_int {
    c_int::try_from(time.as_millis()).unwrap_or(c_int::MAX)
}

/// Returns the id of a broker that responds, or of one that it names: an address of the configuration has no id. Blocks up
/// to the time-out.
///
/// # Safety
/// The client must be a valid one.
#[allow(unsafe_op_in_unsafe_fn, reason = "each call reads a part of the same response")]
unsafe fn responding_broker(client: *mut rd_kafka_t, milliseconds: c_int) -> Result<i32, RDKafkaErrorCode> {
    let mut metadata = null();
    // The topics of this client only: the response names the broker in any case.
    let failed = rd_kafka_metadata(client, 0, null_mut(), &raw mut metadata, milliseconds);
    if failed.is_error() {
        return Err(failed.into());
    }
    let (responding, count) = ((*metadata).orig_broker_id, (*metadata).broker_cnt);
    let named = (count > 0).then(|| (*(*metadata).brokers).id);
    rd_kafka_metadata_destroy(metadata);
    Some(responding).filter(|id| *id >= 0).or(named).ok_or(RDKafkaErrorCode::AllBrokersDown)
}

/// Copies the ids from the event of a description.
///
/// # Safety
/// The event must be a valid result of `rd_kafka_DescribeTopics`.
#[allow(unsafe_op_in_unsafe_fn, reason = "each call reads a part of the same event")]
unsafe fn read(event: *mut rdkafka::bindings::rd_kafka_event_t) -> Result<Vec<(String, String)>, RDKafkaErrorCode> {
    let failed = rd_kafka_event_error(event);
    if failed.is_error() {
        return Err(failed.into());
    }
    let mut count = 0;
    let all = rd_kafka_DescribeTopics_result_topics(rd_kafka_event_DescribeTopics_result(event), &raw mut count);
    let mut found = Vec::new();
    if count == 0 {
        return Ok(found);
    }
    for topic in slice::from_raw_parts(all, count) {
        let failed = rd_kafka_error_code(rd_kafka_TopicDescription_error(*topic));
        match failed {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR => {}
            RDKafkaRespErr::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART
            | RDKafkaRespErr::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_ID => continue,
            failed => return Err(failed.into()),
        }
        let name = CStr::from_ptr(rd_kafka_TopicDescription_name(*topic)).to_string_lossy().into_owned();
        let id = rd_kafka_Uuid_base64str(rd_kafka_TopicDescription_topic_id(*topic));
        let id = CStr::from_ptr(id).to_string_lossy().into_owned();
        if id != NO_ID {
            found.push((name, id));
        }
    }
    Ok(found)
}
