//! The client of a request, as its connection and the believed proxies describe it.
use crate::{
    edge::{Edge, client_address},
    extract::Cookies,
};
use axum::{
    extract::{ConnectInfo, Request},
    http::{HeaderMap, header::HOST},
};
use std::net::{IpAddr, SocketAddr};
use url::Url;

/// The client of a request.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    /// The address; 0.0.0.0 when there is no connection, as in a test.
    pub(crate) address: IpAddr,
    /// True when the browser speaks https, as a believed proxy or the public URL says.
    pub(crate) is_https: bool,
    /// True when cookies must be Secure: behind https, and off loopback.
    pub(crate) secure: bool,
    /// The host and port that the client asked for.
    pub(crate) host: Option<String>,
}
impl Client {
    pub(crate) fn of(request: &Request, edge: &Edge) -> Self {
        let headers = request.headers();
        let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| *peer);
        let forwarded = texts(headers, "x-forwarded-for");
        let address = client_address(edge, peer, forwarded.into_iter());
        let host = headers.get(HOST).and_then(|host| host.to_str().ok()).map(str::to_owned);
        let host = host.or_else(|| request.uri().authority().map(ToString::to_string));
        let is_believed = peer.is_some_and(|peer| edge.trusts(peer.ip().to_canonical()));
        let scheme = texts(headers, "x-forwarded-proto").pop().and_then(|line| line.rsplit(',').next());
        let forwarded_https = is_believed && scheme.is_some_and(|scheme| scheme.trim().eq_ignore_ascii_case("https"));
        let public = edge.public_url.as_ref().filter(|url| url.scheme() == "https");
        let is_public = public.zip(host.as_deref()).is_some_and(|(url, host)| is_origin(url, "https", host));
        let is_https = forwarded_https || is_public;
        let is_local = host.as_deref().map(host_name).is_some_and(is_loopback);
        Client { address, is_https, secure: edge.secure_cookies || is_https || !is_local, host }
    }
    /// Returns the cookies of this connection.
    pub(crate) fn cookies(&self) -> Cookies {
        Cookies { secure: self.secure }
    }
    /// Returns whether a page of this origin is a page of this gateway.
    pub(crate) fn is_own(&self, origin: &Url, edge: &Edge) -> bool {
        let schemes: &[&str] = if self.is_https { &["https"] } else { &["http", "https"] };
        let host = self.host.as_deref();
        let named = host.is_some_and(|host| schemes.iter().any(|scheme| is_origin(origin, scheme, host)));
        named || edge.public_url.as_ref().is_some_and(|url| url.origin() == origin.origin())
    }
}

fn is_origin(url: &Url, scheme: &str, host: &str) -> bool {
    Url::parse(&format!("{scheme}://{host}")).is_ok_and(|own| own.origin() == url.origin())
}
fn texts<'a>(headers: &'a HeaderMap, name: &str) -> Vec<&'a str> {
    headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).collect()
}
/// Returns the host without its port.
fn host_name(host: &str) -> &str {
    match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, _)) => address,
        None => host.split(':').next().unwrap_or(host),
    }
}

/// Returns whether a host is this machine. A browser never sends the name of another host for it.
pub(crate) fn is_loopback(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::{Client, is_loopback};
    use crate::edge::Edge;
    use axum::{
        body::Body,
        extract::{ConnectInfo, Request},
    };
    use std::net::SocketAddr;
    use url::Url;

    fn client(edge: &Edge, host: &str, peer: &str, forwarded: Option<&str>) -> Client {
        let mut request = Request::get("/").header("host", host);
        if let Some(scheme) = forwarded {
            request = request.header("x-forwarded-proto", scheme);
        }
        let mut request = request.body(Body::empty()).unwrap();
        request.extensions_mut().insert(ConnectInfo(format!("{peer}:1").parse::<SocketAddr>().unwrap()));
        Client::of(&request, edge)
    }

    #[test]
    fn cookies_are_secure_off_loopback_and_behind_https() {
        let edge = Edge { trusted_proxies: vec!["10.0.0.1/32".parse().unwrap()], ..Edge::default() };
        for (host, peer, forwarded, secure, https) in [
            ("localhost:8080", "127.0.0.1", None, false, false),
            ("127.0.0.1:8080", "127.0.0.1", None, false, false),
            ("[::1]:8080", "[::1]", None, false, false),
            ("localhost:8080", "172.17.0.1", None, false, false),
            ("hearlers.example", "127.0.0.1", None, true, false),
            ("192.168.0.7:8080", "192.168.0.8", None, true, false),
            ("localhost.evil.example", "127.0.0.1", None, true, false),
            ("localhost", "127.0.0.1", Some("https"), false, false),
            ("localhost", "10.0.0.1", Some("https"), true, true),
            ("localhost", "10.0.0.1", Some("http, HTTPS"), true, true),
            ("localhost", "10.0.0.1", Some("http"), false, false),
        ] {
            let client = client(&edge, host, peer, forwarded);
            assert_eq!((client.secure, client.is_https), (secure, https), "{host} {peer} {forwarded:?}");
        }
        let public = Edge { public_url: Url::parse("https://hearlers.example").ok(), ..Edge::default() };
        assert!(client(&public, "hearlers.example", "127.0.0.1", None).is_https);
        assert!(!client(&public, "localhost", "127.0.0.1", None).secure);
        let always = Edge { secure_cookies: true, ..Edge::default() };
        assert!(client(&always, "localhost", "127.0.0.1", None).secure);
    }

    #[test]
    fn only_the_origin_that_the_client_asked_for_is_its_own() {
        let edge =
            Edge { trusted_proxies: vec!["10.0.0.1".parse::<std::net::IpAddr>().unwrap().into()], ..Edge::default() };
        let origin = |text: &str| Url::parse(text).unwrap();
        let plain = client(&edge, "localhost:8080", "127.0.0.1", None);
        assert!(plain.is_own(&origin("http://localhost:8080"), &edge));
        assert!(!plain.is_own(&origin("http://localhost:8081"), &edge));
        assert!(!plain.is_own(&origin("http://evil.example"), &edge));
        let secure = client(&edge, "hearlers.example", "10.0.0.1", Some("https"));
        assert!(secure.is_own(&origin("https://hearlers.example"), &edge));
        assert!(!secure.is_own(&origin("http://hearlers.example"), &edge), "it can be forged on the way");
    }

    #[test]
    fn loopback_hosts_are_exact() {
        assert!(is_loopback("localhost") && is_loopback("127.0.0.1") && is_loopback("::1") && is_loopback("[::1]"));
        assert!(!is_loopback("localhost.example") && !is_loopback("128.0.0.1") && !is_loopback(""));
    }
}
