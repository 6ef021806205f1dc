//! Async tests for libtest-mimic. Each runs on a runtime of its own, so that no test disturbs another.
use libtest_mimic::Trial;

/// Creates a test that fails by a panic.
pub(crate) fn trial<F: Future<Output = ()>>(
    name: impl Into<String>,
    test: impl FnOnce() -> F + Send + 'static,
) -> Trial {
    Trial::test(name, move || {
        runtime("trial").block_on(test());
        Ok(())
    })
}

/// Creates a test that runs on one thread and fails by a panic.
pub(crate) fn trial_on_one_thread<F: Future<Output = ()>>(
    name: impl Into<String>,
    test: impl FnOnce() -> F + Send + 'static,
) -> Trial {
    Trial::test(name, move || {
        tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(test());
        Ok(())
    })
}

/// Creates a runtime of two threads, so that tasks run at the same time.
pub(crate) fn runtime(threads: &str) -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(2).thread_name(threads).enable_all().build().expect("the runtime starts")
}
