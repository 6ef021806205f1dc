//! The recorder that holds the metrics between two scrapes of Prometheus.
use super::signals::spawn;
use crate::{
    environment::{Environment, SystemEnvironment},
    error::BoxError,
    telemetry::metrics,
};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

/// The interval at which samples are moved into their histogram buckets without a scrape. Until then each sample takes
/// memory.
const UPKEEP: Duration = Duration::from_secs(5);

pub(super) type Recorder = PrometheusHandle;

/// Returns the process's recorder, which the first call installs.
pub(super) fn install() -> Result<Recorder, BoxError> {
    static INSTALLED: Mutex<Option<Recorder>> = Mutex::new(None);
    let mut installed = INSTALLED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(recorder) = &*installed {
        return Ok(recorder.clone());
    }
    let recorder = builder()?.install_recorder()?;
    metrics::describe();
    let upkeep = recorder.clone();
    spawn(async move {
        loop {
            SystemEnvironment.sleep(UPKEEP).await;
            upkeep.run_upkeep();
        }
    });
    *installed = Some(recorder.clone());
    Ok(recorder)
}

/// Returns a builder whose histograms are in seconds and start at a tenth of a millisecond.
fn builder() -> Result<PrometheusBuilder, BoxError> {
    let age = Matcher::Full(metrics::MESSAGE_AGE_SECONDS.to_owned());
    let builder = PrometheusBuilder::new().set_buckets(&metrics::DURATION_BUCKETS)?;
    let late = Matcher::Full(metrics::TIMER_LATE_SECONDS.to_owned());
    let builder = builder.set_buckets_for_metric(late, &metrics::AGE_BUCKETS)?;
    Ok(builder.set_buckets_for_metric(age, &metrics::AGE_BUCKETS)?)
}

#[cfg(test)]
mod tests {
    use super::{builder, metrics};
    use std::time::Duration;

    /// A histogram in whole milliseconds would lose faster samples.
    #[test]
    fn a_sample_below_a_millisecond_is_counted_in_its_bucket() {
        let recorder = builder().unwrap().build_recorder();
        ::metrics::with_local_recorder(&recorder, || {
            for micros in [40, 180, 900] {
                ::metrics::histogram!(metrics::COMMIT_SECONDS).record(Duration::from_micros(micros));
            }
        });
        let text = recorder.handle().render();
        for (le, count) in [("0.0001", 1), ("0.00025", 2), ("0.0005", 2), ("0.001", 3), ("+Inf", 3)] {
            let line = format!("cqrs_commit_duration_seconds_bucket{{le=\"{le}\"}} {count}");
            assert!(text.contains(&line), "the scrape lacks {line}:\n{text}");
        }
        assert!(text.contains("cqrs_commit_duration_seconds_sum 0.00112"), "{text}");
    }
}
