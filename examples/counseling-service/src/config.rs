//! The program's settings with their defaults. All invalid settings are reported at once.
mod images;

use crate::{DAILY_CALLS, OfflineResponder, Ports, Responder, SERVICE, Wallets};
use clap::Parser;
use cqrs_core::Secret;
use images::ImagesArgs;
use service_auth::{
    secrets::{self, Name, given},
    settings::{Wrong, all},
};
use service_edge::settings::{Config, EdgeArgs, seconds};
use std::{sync::Arc, time::Duration};

/// The longest accepted time limit of a call to a language model, in seconds: a reply has 25 seconds in all.
const LONGEST_TIMEOUT: u64 = 25;
/// The default time limit of a call to a language model, in seconds.
const TIMEOUT: u64 = 20;
const RESPONDER_TIMEOUT: Name = Name { variable: "HEARLERS_RESPONDER_TIMEOUT", flag: "--responder-timeout" };
const KEY: Name = Name { variable: "HEARLERS_RESPONDER_KEY", flag: "--responder-key" };

/// The counseling service: counsels over gRPC, on PostgreSQL and Kafka.
// Values are text here, so that `check` can report all invalid settings and not only the first one.
#[derive(Parser)]
#[command(name = "counseling-service", version, about)]
#[command(mut_arg("listen", |listen| listen.default_value("127.0.0.1:50052")))]
pub struct Args {
    #[command(flatten)]
    service: EdgeArgs,
    /// URL of the user service, which confirms that a token is held for a message. With certificates it begins with https.
    #[arg(long, env = "HEARLERS_USER_SERVICE", default_value = "http://127.0.0.1:50051", value_name = "URL")]
    user_service: String,
    /// Base URL of an OpenAI-compatible API, such as `https://api.openai.com/v1`. Without it, replies come from a
    /// table.
    #[arg(long, env = "HEARLERS_RESPONDER_URL", hide_env_values = true, value_name = "URL")]
    responder_url: Option<String>,
    /// API key of the language model.
    #[arg(long, env = "HEARLERS_RESPONDER_KEY", hide_env_values = true, value_name = "SECRET")]
    responder_key: Option<String>,
    /// File that contains the API key.
    #[arg(long, env = "HEARLERS_RESPONDER_KEY_FILE", value_name = "FILE")]
    responder_key_file: Option<String>,
    /// Name of the language model.
    #[arg(long, env = "HEARLERS_RESPONDER_MODEL", value_name = "NAME")]
    responder_model: Option<String>,
    /// Time limit of a call to the model in seconds, 1 to 25; the default is 20.
    #[arg(long, env = "HEARLERS_RESPONDER_TIMEOUT", value_name = "SECONDS")]
    responder_timeout: Option<String>,
    /// Calls to the model that this process makes in a day of Seoul at most; the default is 10000. Further messages are
    /// refused.
    #[arg(long, env = "HEARLERS_RESPONDER_DAILY_CALLS", value_name = "CALLS")]
    responder_daily_calls: Option<String>,
    #[command(flatten)]
    images: ImagesArgs,
}

impl Args {
    /// Validates the settings and returns them with the ports that they choose.
    ///
    /// # Errors
    /// Returns all invalid settings, each with its variable, its flag and the accepted values.
    pub fn check(self) -> Result<(Config, Ports), Wrong> {
        all(|wrong| {
            let (responder, daily_calls) = (self.responder(wrong), self.daily_calls(wrong));
            let images = self.images.check(wrong);
            let config = self.service.read(SERVICE.name, wrong)?;
            let scheme = if config.proof.certificates().is_some() { "https://" } else { "http://" };
            let wallets = Some(&self.user_service).filter(|url| url.starts_with(scheme));
            let wallets = wallets.and_then(|url| Wallets::new(url, &config.proof).ok());
            if wallets.is_none() {
                wrong.push(format!("HEARLERS_USER_SERVICE (--user-service): a URL {scheme}HOST:PORT"));
            }
            let (responder, reservations) = (responder?, Arc::new(wallets?));
            Some((config, Ports { responder, reservations, daily_calls: daily_calls?, images: images? }))
        })
    }

    fn daily_calls(&self, wrong: &mut Vec<String>) -> Option<u32> {
        let calls = given(self.responder_daily_calls.as_deref()).map_or(Ok(DAILY_CALLS), str::parse).ok();
        if calls.is_none() {
            wrong.push("HEARLERS_RESPONDER_DAILY_CALLS (--responder-daily-calls): a number of calls".to_owned());
        }
        calls
    }

    fn responder(&self, wrong: &mut Vec<String>) -> Option<Arc<dyn Responder>> {
        let timeout = seconds(RESPONDER_TIMEOUT, self.responder_timeout.as_deref(), TIMEOUT, LONGEST_TIMEOUT, wrong);
        let key = secrets::optional(KEY, self.responder_key.as_deref(), self.responder_key_file.as_deref(), wrong);
        let Some(url) = given(self.responder_url.as_deref()) else {
            return Some(Arc::new(OfflineResponder));
        };
        let made = language_model(url, key, given(self.responder_model.as_deref()), timeout?);
        made.map_err(|error| wrong.push(format!("HEARLERS_RESPONDER_URL (--responder-url): {error}"))).ok()
    }
}

#[cfg(feature = "openai")]
fn language_model(
    url: &str,
    key: Option<Secret>,
    model: Option<&str>,
    timeout: Duration,
) -> Result<Arc<dyn Responder>, String> {
    use crate::{OpenAiConfig, OpenAiResponder};
    let mut config = OpenAiConfig { key, timeout, ..OpenAiConfig::new(url) };
    if let Some(model) = model {
        config.model = model.to_owned();
    }
    Ok(Arc::new(OpenAiResponder::new(config).map_err(|error| error.to_string())?))
}
#[cfg(not(feature = "openai"))]
fn language_model(_: &str, _: Option<Secret>, _: Option<&str>, _: Duration) -> Result<Arc<dyn Responder>, String> {
    Err("not supported, because this program was built without the feature `openai`".to_owned())
}

#[cfg(test)]
mod tests {
    use super::Args;
    use clap::Parser;

    fn wrong(flags: &[&str]) -> String {
        let args = Args::parse_from([&["counseling-service"], flags].concat());
        args.check().map(|_| ()).unwrap_err().to_string()
    }

    #[tokio::test]
    async fn all_invalid_settings_are_reported_at_once_without_secrets() {
        let flags = "--listen here --database mysql://kim:hunter2@db/x --kafka kafka --responder-url ftp://llm \
                     --responder-key sk-1 --responder-timeout 60 --responder-daily-calls many";
        let said = wrong(&flags.split(' ').filter(|flag| !flag.is_empty()).collect::<Vec<_>>());
        for name in [
            "HEARLERS_LISTEN",
            "HEARLERS_DATABASE",
            "HEARLERS_KAFKA",
            "HEARLERS_RESPONDER_TIMEOUT",
            "HEARLERS_RESPONDER_DAILY_CALLS",
            "HEARLERS_CALLER_KEYS",
        ] {
            assert!(said.contains(name), "{name} in {said}");
        }
        assert!(!said.contains("hunter2") && !said.contains("sk-1"), "{said}");
    }

    const CALLERS: [&str; 2] = ["--caller-keys", "gateway=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="];

    #[tokio::test]
    async fn the_user_service_needs_a_url_with_a_host() {
        let flags = [&["--database", "postgres://localhost/x", "--kafka", "kafka:9092"], &CALLERS[..]].concat();
        for url in ["", "users", "https://users:50051", "http://"] {
            let said = wrong(&[&flags[..], &["--user-service", url]].concat());
            assert!(said.contains("HEARLERS_USER_SERVICE"), "{url}: {said}");
        }
    }

    #[tokio::test]
    async fn an_empty_variable_counts_as_not_set() {
        let flags = ["--database", "postgres://localhost/x", "--kafka", "kafka:9092", "--responder-url", ""];
        let args = Args::parse_from([&["counseling-service"], &flags[..], &CALLERS[..]].concat());
        assert!(args.check().is_ok());
    }
}
