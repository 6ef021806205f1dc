//! Where metrics are kept until Prometheus asks.
use super::signals::spawn;
use crate::{
    BoxError, metrics,
    world::{Machine, World},
};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

/// How often samples are put into their buckets when nobody asks: until then each takes memory.
const UPKEEP: Duration = Duration::from_secs(5);

pub(super) type Recorder = PrometheusHandle;

/// The process's recorder; made by the first who asks for it.
pub(super) fn install() -> Result<Recorder, BoxError> {
    static INSTALLED: Mutex<Option<Recorder>> = Mutex::new(None);
    let mut installed = INSTALLED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(recorder) = &*installed {
        return Ok(recorder.clone());
    }
    let recorder = builder()?.install_recorder()?;
    metrics::describe();
    let keep = recorder.clone();
    spawn(async move {
        loop {
            Machine.sleep(UPKEEP).await;
            keep.run_upkeep();
        }
    });
    *installed = Some(recorder.clone());
    Ok(recorder)
}

/// Histograms in seconds, from a tenth of a millisecond on.
fn builder() -> Result<PrometheusBuilder, BoxError> {
    let age = Matcher::Full(metrics::MESSAGE_AGE_SECONDS.to_owned());
    let builder = PrometheusBuilder::new().set_buckets(&metrics::DURATION_BUCKETS)?;
    Ok(builder.set_buckets_for_metric(age, &metrics::AGE_BUCKETS)?)
}

#[cfg(test)]
mod tests {
    use super::{builder, metrics};
    use std::time::Duration;

    /// A histogram that counts whole milliseconds loses what is faster.
    #[test]
    fn a_sample_below_a_millisecond_is_counted() {
        let recorder = builder().unwrap().build_recorder();
        ::metrics::with_local_recorder(&recorder, || {
            for micros in [40, 180, 900] {
                ::metrics::histogram!(metrics::COMMIT_SECONDS).record(Duration::from_micros(micros));
            }
        });
        let text = recorder.handle().render();
        for (le, count) in [("0.0001", 1), ("0.00025", 2), ("0.0005", 2), ("0.001", 3), ("+Inf", 3)] {
            let line = format!("cqrs_commit_duration_seconds_bucket{{le=\"{le}\"}} {count}");
            assert!(text.contains(&line), "no {line} in\n{text}");
        }
        assert!(text.contains("cqrs_commit_duration_seconds_sum 0.00112"), "{text}");
    }
}
