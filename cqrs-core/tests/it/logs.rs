//! The log lines of a test.
use crate::trials::trial_on_one_thread;
use libtest_mimic::Trial;
use std::{
    io,
    sync::{Arc, Mutex},
};
use tracing_subscriber::{filter::LevelFilter, fmt::MakeWriter, util::SubscriberInitExt};

/// Creates a test that reads its log lines. It runs on one thread, so that every line reaches the subscriber of that thread.
pub(crate) fn logged_trial<F: Future<Output = ()>>(
    name: &'static str,
    test: impl FnOnce(Lines) -> F + Send + 'static,
) -> Trial {
    trial_on_one_thread(name, move || async move {
        let lines = Lines::default();
        // While there is one subscriber only, a line that another thread comes to first is switched off for all threads.
        let _second = tracing::Dispatch::new(tracing_subscriber::fmt().with_writer(io::sink).finish());
        let logging = tracing_subscriber::fmt().with_max_level(LevelFilter::TRACE).with_ansi(false);
        let _guard = logging.with_writer(lines.clone()).finish().set_default();
        test(lines).await;
    })
}

/// The log lines so far.
#[derive(Clone, Default)]
pub(crate) struct Lines(Arc<Mutex<Vec<u8>>>);
impl Lines {
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.0.lock().expect("not poisoned").clone()).expect("log lines are text")
    }
    /// Returns the lines with this text.
    pub(crate) fn with(&self, text: &str) -> Vec<String> {
        self.text().lines().filter(|line| line.contains(text)).map(str::to_owned).collect()
    }
}
impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("not poisoned").write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
impl MakeWriter<'_> for Lines {
    type Writer = Lines;
    fn make_writer(&self) -> Lines {
        self.clone()
    }
}
