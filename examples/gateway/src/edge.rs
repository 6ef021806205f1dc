//! The settings of the web edge: proxies, origins, limits, ways of login and administrators.
use crate::{
    admin_link::AdminLink,
    limits::{Limit, Limits},
    oauth::{Account, OAuthClient, ProviderKind},
};
use cqrs_core::Secret;
use ipnet::IpNet;
use service_auth::secrets::{self, Name, given};
use std::net::{IpAddr, SocketAddr};
use url::{Origin, Url};

const KAKAO_SECRET: Name = Name { variable: "HEARLERS_KAKAO_SECRET", flag: "--kakao-secret" };
const NAVER_SECRET: Name = Name { variable: "HEARLERS_NAVER_SECRET", flag: "--naver-secret" };

/// The flags of the web edge. The gateway and the embedded program share them.
// Values are text here, so that `check` can report all invalid settings and not only the first one.
#[derive(clap::Args)]
pub struct EdgeArgs {
    /// URL under which browsers reach the gateway, such as `https://hearlers.example`. The login with Kakao or Naver needs it.
    #[arg(long, env = "HEARLERS_PUBLIC_URL", value_name = "URL")]
    public_url: Option<String>,
    /// Address ranges of proxies whose X-Forwarded-For and X-Forwarded-Proto are believed, separated by commas.
    #[arg(long, env = "HEARLERS_TRUSTED_PROXIES", value_name = "RANGES")]
    trusted_proxies: Option<String>,
    /// Origins of other sites whose pages may call the API with cookies, separated by commas.
    #[arg(long, env = "HEARLERS_ALLOWED_ORIGINS", value_name = "ORIGINS")]
    allowed_origins: Option<String>,
    /// Addresses to which a login may return, separated by commas: each also allows the addresses below its path. The public URL is
    /// always allowed.
    #[arg(long, env = "HEARLERS_ALLOWED_REDIRECTS", value_name = "URLS")]
    allowed_redirects: Option<String>,
    /// Accounts that become administrators at their login, separated by commas, such as kakao:123456,naver:abcdef. An account that is
    /// no longer listed becomes a user again at its next login, unless an operator has promoted it.
    #[arg(long, env = "HEARLERS_ADMIN_ACCOUNTS", value_name = "ACCOUNTS")]
    admin_accounts: Option<String>,
    /// Mark cookies as Secure and name them __Host- on loopback addresses too.
    #[arg(long, env = "HEARLERS_SECURE_COOKIES", default_value = "false", num_args = 0..=1, default_missing_value = "true", value_name = "BOOL")]
    secure_cookies: String,
    /// Requests that one address may send: a number and minute, hour or second, or off.
    #[arg(long, env = "HEARLERS_LIMIT_ADDRESS", default_value = "1200/minute", value_name = "LIMIT")]
    limit_address: String,
    /// Requests that one person may send.
    #[arg(long, env = "HEARLERS_LIMIT_PERSON", default_value = "600/minute", value_name = "LIMIT")]
    limit_person: String,
    /// New persons that one address may become.
    #[arg(long, env = "HEARLERS_LIMIT_VISITS", default_value = "60/hour", value_name = "LIMIT")]
    limit_visits: String,
    /// REST API key of the Kakao application. Without it, there is no login with Kakao.
    #[arg(long, env = "HEARLERS_KAKAO_CLIENT", value_name = "ID")]
    kakao_client: Option<String>,
    /// Client secret of the Kakao application, if it has one.
    #[arg(long, env = "HEARLERS_KAKAO_SECRET", hide_env_values = true, value_name = "SECRET")]
    kakao_secret: Option<String>,
    /// File that contains that secret.
    #[arg(long, env = "HEARLERS_KAKAO_SECRET_FILE", value_name = "FILE")]
    kakao_secret_file: Option<String>,
    /// Base URL of Kakao's login.
    #[arg(long, env = "HEARLERS_KAKAO_LOGIN_URL", default_value = ProviderKind::Kakao.login_url(), value_name = "URL")]
    kakao_login_url: String,
    /// Base URL of Kakao's API.
    #[arg(long, env = "HEARLERS_KAKAO_API_URL", default_value = ProviderKind::Kakao.api_url(), value_name = "URL")]
    kakao_api_url: String,
    /// Client ID of the Naver application. Without it, there is no login with Naver.
    #[arg(long, env = "HEARLERS_NAVER_CLIENT", value_name = "ID")]
    naver_client: Option<String>,
    /// Client secret of the Naver application.
    #[arg(long, env = "HEARLERS_NAVER_SECRET", hide_env_values = true, value_name = "SECRET")]
    naver_secret: Option<String>,
    /// File that contains that secret.
    #[arg(long, env = "HEARLERS_NAVER_SECRET_FILE", value_name = "FILE")]
    naver_secret_file: Option<String>,
    /// Base URL of Naver's login.
    #[arg(long, env = "HEARLERS_NAVER_LOGIN_URL", default_value = ProviderKind::Naver.login_url(), value_name = "URL")]
    naver_login_url: String,
    /// Base URL of Naver's API.
    #[arg(long, env = "HEARLERS_NAVER_API_URL", default_value = ProviderKind::Naver.api_url(), value_name = "URL")]
    naver_api_url: String,
}
impl EdgeArgs {
    /// Validates the settings, and adds a line for each that is invalid.
    pub fn check(&self, wrong: &mut Vec<String>) -> Option<Edge> {
        let before = wrong.len();
        let edge = Edge {
            public_url: self.public_url(wrong),
            trusted_proxies: list(
                &self.trusted_proxies,
                "TRUSTED_PROXIES",
                "address ranges, as in 10.0.0.0/8",
                wrong,
                range,
            ),
            allowed_origins: list(
                &self.allowed_origins,
                "ALLOWED_ORIGINS",
                "origins, as in https://app.example",
                wrong,
                origin,
            ),
            allowed_redirects: list(
                &self.allowed_redirects,
                "ALLOWED_REDIRECTS",
                "URLs without a query, as in https://app.example/login",
                wrong,
                redirect,
            ),
            admin_accounts: list(
                &self.admin_accounts,
                "ADMIN_ACCOUNTS",
                "accounts, as in kakao:123456 or naver:abcdef",
                wrong,
                Account::parse,
            ),
            limits: Limits {
                address: limit("LIMIT_ADDRESS", &self.limit_address, wrong),
                person: limit("LIMIT_PERSON", &self.limit_person, wrong),
                visits: limit("LIMIT_VISITS", &self.limit_visits, wrong),
            },
            secure_cookies: self.secure_cookies.parse().unwrap_or_else(|_| {
                wrong.push(format!("{}: true or false", named("SECURE_COOKIES")));
                true
            }),
            kakao: self.client(ProviderKind::Kakao, wrong),
            naver: self.client(ProviderKind::Naver, wrong),
            admin_link: None,
        };
        if (edge.kakao.is_some() || edge.naver.is_some()) && given(self.public_url.as_deref()).is_none() {
            wrong.push(format!("{}: needed by the login, because the provider returns to it", named("PUBLIC_URL")));
        }
        (wrong.len() == before).then_some(edge)
    }
    fn public_url(&self, wrong: &mut Vec<String>) -> Option<Url> {
        let url = redirect(given(self.public_url.as_deref())?).filter(|url| url.path() == "/");
        if url.is_none() {
            wrong.push(format!("{}: a URL without a path, as in https://hearlers.example", named("PUBLIC_URL")));
        }
        url
    }
    fn client(&self, kind: ProviderKind, wrong: &mut Vec<String>) -> Option<OAuthClient> {
        let (id, name, secret, file, login, api) = match kind {
            ProviderKind::Kakao => (
                &self.kakao_client,
                KAKAO_SECRET,
                &self.kakao_secret,
                &self.kakao_secret_file,
                ("KAKAO_LOGIN_URL", &self.kakao_login_url),
                ("KAKAO_API_URL", &self.kakao_api_url),
            ),
            ProviderKind::Naver => (
                &self.naver_client,
                NAVER_SECRET,
                &self.naver_secret,
                &self.naver_secret_file,
                ("NAVER_LOGIN_URL", &self.naver_login_url),
                ("NAVER_API_URL", &self.naver_api_url),
            ),
        };
        let id = given(id.as_deref())?.to_owned();
        let secret: Option<Secret> = secrets::optional(name, secret.as_deref(), file.as_deref(), wrong);
        let mut url = |(setting, text): (&str, &str)| {
            let url = base(text);
            if url.is_none() {
                wrong.push(format!("{}: a URL https://HOST, or http:// on loopback", named(setting)));
            }
            url
        };
        let (login, api) = (url((login.0, login.1)), url((api.0, api.1)));
        Some(OAuthClient { id, secret, login: login?, api: api? })
    }
}

/// The validated settings of the web edge.
#[derive(Debug, Clone, Default)]
pub struct Edge {
    /// The URL under which browsers reach the gateway.
    pub public_url: Option<Url>,
    /// The proxies whose forwarding headers are believed.
    pub trusted_proxies: Vec<IpNet>,
    /// The origins of other sites that may call the API with cookies.
    pub allowed_origins: Vec<Origin>,
    /// The addresses to which a login may return.
    pub allowed_redirects: Vec<Url>,
    /// The accounts that become administrators at their login.
    pub admin_accounts: Vec<Account>,
    /// The rate limits.
    pub limits: Limits,
    /// Marks cookies as Secure on loopback addresses too.
    pub secure_cookies: bool,
    /// The application at Kakao, for the login with it.
    pub kakao: Option<OAuthClient>,
    /// The application at Naver, for the login with it.
    pub naver: Option<OAuthClient>,
    /// The link that makes the first administrator.
    pub admin_link: Option<AdminLink>,
}
impl Edge {
    /// Returns whether this address is a proxy that is believed.
    pub(crate) fn trusts(&self, address: IpAddr) -> bool {
        self.trusted_proxies.iter().any(|range| range.contains(&address))
    }
    /// Returns the address to return to after a login, or `None` when it is not allowed. `own` is the host of the request.
    pub(crate) fn redirect(&self, target: &str) -> Option<Url> {
        let target = absolute(target)?;
        let own = self.public_url.iter();
        let allowed = own.chain(&self.allowed_redirects).any(|allowed| is_below(&target, allowed));
        allowed.then_some(target)
    }
}

/// Returns whether the target has the origin of the allowed address, and its path or one below it.
fn is_below(target: &Url, allowed: &Url) -> bool {
    let below = |rest: &str| rest.is_empty() || rest.starts_with('/') || allowed.path().ends_with('/');
    target.origin() == allowed.origin() && target.path().strip_prefix(allowed.path()).is_some_and(below)
}

/// Parses an absolute web address without credentials, which could make it look like another one.
fn absolute(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https"))?;
    (url.host_str().is_some() && url.username().is_empty() && url.password().is_none()).then_some(url)
}
fn redirect(text: &str) -> Option<Url> {
    absolute(text).filter(|url| url.query().is_none() && url.fragment().is_none())
}
/// Parses the base URL of a provider. Secrets are sent to it, so it needs TLS off loopback.
fn base(text: &str) -> Option<Url> {
    let is_loopback = |url: &Url| url.host_str().is_some_and(crate::client::is_loopback);
    redirect(text).filter(|url| url.path() == "/" && (url.scheme() == "https" || is_loopback(url)))
}
fn origin(text: &str) -> Option<Origin> {
    redirect(text).filter(|url| url.path() == "/").map(|url| url.origin())
}
fn range(text: &str) -> Option<IpNet> {
    text.parse().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))
}
fn limit(setting: &str, text: &str, wrong: &mut Vec<String>) -> Option<Limit> {
    match Limit::parse(text) {
        Ok(limit) => limit,
        Err(accepted) => {
            wrong.push(format!("{}: {accepted}", named(setting)));
            None
        }
    }
}
/// Parses a list that is separated by commas.
fn list<T>(
    text: &Option<String>,
    setting: &str,
    accepted: &str,
    wrong: &mut Vec<String>,
    parse: impl Fn(&str) -> Option<T>,
) -> Vec<T> {
    let entries = text.iter().flat_map(|text| text.split(',')).map(str::trim).filter(|entry| !entry.is_empty());
    let parsed: Option<Vec<T>> = entries.map(parse).collect();
    parsed.unwrap_or_else(|| {
        wrong.push(format!("{}: {accepted}, separated by commas", named(setting)));
        Vec::new()
    })
}
/// Returns the variable and the flag of a setting.
fn named(setting: &str) -> String {
    format!("HEARLERS_{setting} (--{})", setting.to_lowercase().replace('_', "-"))
}

/// The address of a client without the part that it can choose: an IPv6 network gives every client 2^64 addresses.
pub(crate) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6((u128::from(address) >> 64 << 64).into()),
        address => address,
    }
}

/// Returns the address of the client: that of the connection, or, behind believed proxies, the last one in
/// `X-Forwarded-For` that no believed proxy has.
pub(crate) fn client_address<'a>(
    edge: &Edge,
    peer: Option<SocketAddr>,
    forwarded: impl DoubleEndedIterator<Item = &'a str>,
) -> IpAddr {
    let peer = peer.map_or(IpAddr::from([0, 0, 0, 0]), |peer| peer.ip().to_canonical());
    if !edge.trusts(peer) {
        return peer;
    }
    let mut nearest = peer;
    for hop in forwarded.flat_map(|line| line.split(',')).rev() {
        // Entries from before the first believed proxy were written by the client, so they do not count.
        let Some(address) = hop.trim().parse::<IpAddr>().ok() else { break };
        nearest = address.to_canonical();
        if !edge.trusts(nearest) {
            break;
        }
    }
    nearest
}

#[cfg(test)]
mod tests {
    use super::{Edge, client_address, network, redirect};
    use std::net::IpAddr;

    fn edge() -> Edge {
        let allowed = ["https://app.example/login", "http://localhost:5173/"];
        Edge {
            public_url: redirect("https://hearlers.example"),
            allowed_redirects: allowed.into_iter().filter_map(redirect).collect(),
            trusted_proxies: vec!["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()],
            ..Edge::default()
        }
    }

    #[test]
    fn a_login_returns_only_to_allowed_addresses() {
        for good in [
            "https://hearlers.example/",
            "https://hearlers.example",
            "https://hearlers.example/chat?counsel=7#end",
            "https://app.example/login",
            "https://app.example/login/done?x=y",
            "http://localhost:5173/anything",
        ] {
            assert!(edge().redirect(good).is_some(), "{good}");
        }
        for bad in [
            "",
            "/chat",
            "//evil.example",
            "https://evil.example/",
            "https://hearlers.example.evil.example/",
            "https://hearlers.example@evil.example/",
            "https://kim@hearlers.example/",
            "https://hearlers.example:8443/",
            "http://hearlers.example/",
            "https://app.example/",
            "https://app.example/login2",
            "https://app.example/login/../admin",
            "https://app.example/login/%2e%2e/admin",
            "https:\\\\evil.example\\@hearlers.example",
            "javascript:alert(1)",
            "data:text/html,x",
            "http://localhost:5174/",
        ] {
            assert!(edge().redirect(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn only_believed_proxies_decide_the_address_of_the_client() {
        let address = |peer: &str, forwarded: &[&str]| {
            client_address(&edge(), Some(format!("{peer}:1").parse().unwrap()), forwarded.iter().copied()).to_string()
        };
        assert_eq!(address("203.0.113.9", &["198.51.100.1"]), "203.0.113.9", "a stranger's header is not believed");
        assert_eq!(address("10.0.0.1", &["198.51.100.1"]), "198.51.100.1");
        assert_eq!(address("10.0.0.1", &["1.1.1.1, 198.51.100.1, 10.0.0.2"]), "198.51.100.1", "the last foreign one");
        assert_eq!(address("10.0.0.1", &["1.1.1.1", "198.51.100.1"]), "198.51.100.1", "of two lines too");
        assert_eq!(address("10.0.0.1", &["nonsense"]), "10.0.0.1");
        assert_eq!(address("10.0.0.1", &["198.51.100.1, nonsense, 10.0.0.2"]), "10.0.0.2");
        assert_eq!(address("[::ffff:10.0.0.1]", &["198.51.100.1"]), "198.51.100.1");
        assert_eq!(address("10.0.0.1", &[]), "10.0.0.1");
    }

    #[test]
    fn one_ipv6_network_is_one_client() {
        let network = |text: &str| network(text.parse::<IpAddr>().unwrap()).to_string();
        assert_eq!(network("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_eq!(network("::ffff:203.0.113.9"), "203.0.113.9");
        assert_eq!(network("203.0.113.9"), "203.0.113.9");
    }
}
