//! One binary: what every transport promises, on a real Kafka and in process, and what only a broken broker shows.
mod mock; // librdkafka's broker in this process: errors on demand
mod real; // what only a real broker does

use cqrs_core::{
    testing::conformance::transport::{Fresh, FreshInProcess, cases},
    transport::Transport,
};
use cqrs_kafka::{Kafka, KafkaConfig};
use libtest_mimic::{Arguments, Trial};
use std::{env, process::ExitCode, sync::Arc};

fn main() -> ExitCode {
    let mut trials = Vec::new();
    for case in cases() {
        let name = |on: &str| format!("{on}: {}", case.name.replace('_', " "));
        trials.push(Trial::test(name("in process"), move || run((case.run)(Arc::new(FreshInProcess)))));
        trials.push(on_kafka(name("kafka"), move |brokers| run((case.run)(Arc::new(Real(brokers))))));
    }
    let mocked = |(name, test): (&str, fn() -> _)| Trial::test(format!("mock: {name}"), move || run(test()));
    trials.extend(mock::tests().into_iter().map(mocked));
    for (name, test) in real::tests() {
        trials.push(on_kafka(format!("kafka: {name}"), move |brokers| run(test(brokers))));
    }
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

/// Needs a real Kafka. Says so and is ignored without one, unless it is required.
fn on_kafka(name: String, test: impl FnOnce(String) -> Result<(), libtest_mimic::Failed> + Send + 'static) -> Trial {
    let required = env::var("CQRS_TEST_REQUIRE").is_ok_and(|all| all.split(',').any(|part| part.trim() == "kafka"));
    match env::var("CQRS_TEST_KAFKA") {
        Ok(brokers) => Trial::test(name, move || test(brokers)),
        Err(_) if required => Trial::test(name, || Err("CQRS_TEST_KAFKA is not set, and kafka is required".into())),
        Err(_) => Trial::test(format!("{name} (no kafka on this machine)"), || Ok(())).with_ignored_flag(true),
    }
}

fn run(test: impl Future<Output = ()>) -> Result<(), libtest_mimic::Failed> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(test);
    runtime.shutdown_background();
    Ok(())
}

struct Real(String);
impl Fresh for Real {
    fn connect(&self) -> Arc<dyn Transport> {
        let config = KafkaConfig { partitions: 6, replication: Some(1), ..KafkaConfig::new(&self.0) };
        Arc::new(Kafka::connect(config).expect("the configuration is fine"))
    }
    fn stores(&self) -> bool {
        true
    }
}
