//! The settings of the query side: the store of its views.
use cqrs_core::{
    AppBuilder, Fault, Secret,
    storage::{
        Postgres, Redis, ViewStore,
        postgres::{Config, Options, TlsMode},
    },
};
use service_auth::{
    secrets::{self, Name},
    settings,
};
use std::{convert::Infallible, fmt};

const VIEWS: Name = Name { variable: "HEARLERS_VIEWS", flag: "--views" };
const ALLOW_PLAINTEXT: Name = Name { variable: "HEARLERS_VIEWS_ALLOW_PLAINTEXT", flag: "--views-allow-plaintext" };

/// The settings of the task `query`, which serves only queries.
// Values are text here, so that all invalid settings can be reported and not only the first one.
#[derive(Debug, Clone, clap::Args)]
pub struct ViewsArgs {
    /// For the task `query`: URL of the store of its views, redis://:PASSWORD@HOST:PORT/DATABASE, or postgres://USER:PASSWORD@HOST:PORT/NAME.
    #[arg(long, global = true, env = "HEARLERS_VIEWS", hide_env_values = true, value_name = "URL", value_parser = secret)]
    views: Option<Secret>,
    /// File that contains the URL.
    #[arg(long, global = true, env = "HEARLERS_VIEWS_FILE", value_name = "FILE")]
    views_file: Option<String>,
    /// Allow a connection without TLS to a store on another machine (true): who is on the way sees and changes everything.
    #[arg(long, global = true, env = "HEARLERS_VIEWS_ALLOW_PLAINTEXT", num_args = 0..=1, default_missing_value = "true", value_name = "BOOL")]
    views_allow_plaintext: Option<String>,
}

/// The validated store of the views. Its `Debug` output does not contain the password.
#[derive(Clone)]
pub enum Views {
    /// A Redis, by its URL.
    Redis(Secret),
    /// A PostgreSQL database.
    Postgres(Box<Config>),
}
impl fmt::Debug for Views {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if matches!(self, Views::Redis(_)) { "Views(redis)" } else { "Views(postgres)" })
    }
}

impl ViewsArgs {
    /// Validates the settings.
    pub(super) fn check(&self, wrong: &mut Vec<String>) -> Option<Views> {
        let allows_plaintext = settings::flag(ALLOW_PLAINTEXT, self.views_allow_plaintext.as_deref(), wrong);
        let value = self.views.as_ref().map(Secret::expose);
        let url = secrets::optional(VIEWS, value, self.views_file.as_deref(), wrong);
        let views = url.as_ref().and_then(|url| parsed(url.expose()));
        let Some((views, is_safe)) = views else {
            wrong.push(format!(
                "{VIEWS}: redis://:PASSWORD@HOST:PORT/DATABASE or postgres://USER:PASSWORD@HOST:PORT/NAME; no default"
            ));
            return None;
        };
        if !is_safe && !allows_plaintext {
            wrong.push(format!("{VIEWS}: a store on this machine, with TLS, or {ALLOW_PLAINTEXT}: true"));
            return None;
        }
        Some(views)
    }
}

fn secret(text: &str) -> Result<Secret, Infallible> {
    Ok(Secret::new(text))
}

/// Returns the store of a URL, and whether nobody on the way sees its content.
fn parsed(url: &str) -> Option<(Views, bool)> {
    if url.starts_with("redis://") {
        let host = url.parse::<tonic::transport::Uri>().ok()?.host().map(str::to_owned)?;
        return Some((Views::Redis(Secret::new(url)), settings::is_loopback(&host)));
    }
    let config = Config::parse(url).ok()?;
    config.validate().ok()?;
    let is_safe = config.is_local() || config.tls.mode != TlsMode::Disable;
    Some((Views::Postgres(Box::new(config)), is_safe))
}

impl Views {
    /// Makes the app the query side of its service, with this store. The app's name is in the keys of a Redis.
    ///
    /// # Errors
    /// Fails when the store does not respond.
    pub async fn add_to(&self, app: AppBuilder, name: &str) -> Result<AppBuilder, Fault> {
        Ok(match self {
            Views::Redis(url) => {
                let redis = Redis::open(url.expose(), name)?;
                redis.respond().await?;
                app.query_side(redis)
            }
            Views::Postgres(config) => app.query_side(Postgres::open(config, Options::default()).await?),
        })
    }
}
