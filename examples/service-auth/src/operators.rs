//! Authentication of operators, who may list, redeliver and discard parked messages.
use crate::Keys;
use cqrs_core::{DomainError, ErrorKind, grpc};
use std::borrow::Cow;
use tonic::codegen::http::HeaderMap;

/// The longest name of an operator, in bytes.
const LONGEST_NAME: usize = 64;

/// Authenticates operators by a shared secret. Without a secret the operator endpoints are disabled.
///
/// An endpoint calls [`check`](Self::check) with two headers of HTTP or gRPC, and records the name in its audit log:
///
/// ```
/// use service_auth::{Keys, operators::{NotOperator, Operators}};
///
/// let operators = Operators::new(Keys::parse("the operators' secret, not the gateway's").ok());
/// let kim = operators.check(Some("Bearer the operators' secret, not the gateway's"), Some("kim")).unwrap();
/// assert_eq!(kim.name(), "kim");
/// assert_eq!(operators.check(Some("Bearer guessed"), Some("kim")), Err(NotOperator::WrongSecret));
/// ```
#[derive(Clone)]
pub struct Operators(Option<Keys>);
impl std::fmt::Debug for Operators {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.is_enabled() { "Operators(***)" } else { "Operators(none)" })
    }
}
impl Operators {
    /// The header with `Bearer` and the secret.
    pub const AUTHORIZATION: &str = "authorization";
    /// The header with the operator's name, for the audit log.
    pub const NAME: &str = "hearlers-operator";

    /// Creates the authenticator with these secrets, of which each is accepted.
    pub fn new(secrets: Option<Keys>) -> Self {
        Operators(secrets)
    }
    /// Returns whether a secret is configured.
    pub fn is_enabled(&self) -> bool {
        self.0.is_some()
    }
    /// Returns [`check`](Self::check) as a function of HTTP headers, for `operations::Program::operator_api`.
    pub fn authenticator(self) -> impl Fn(&HeaderMap) -> Result<String, String> + Send + Sync + 'static {
        move |headers| {
            let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
            let found = self.check(text(Self::AUTHORIZATION), text(Self::NAME));
            found.map(|operator| operator.name().to_owned()).map_err(|refused| refused.to_string())
        }
    }
    /// Authenticates an operator by the values of [`AUTHORIZATION`](Self::AUTHORIZATION) and [`NAME`](Self::NAME).
    ///
    /// # Errors
    /// Fails when the secret or the name is missing or wrong.
    pub fn check(&self, authorization: Option<&str>, name: Option<&str>) -> Result<Operator, NotOperator> {
        let secrets = self.0.as_ref().ok_or(NotOperator::Closed)?;
        let (scheme, shown) = authorization.and_then(|value| value.split_once(' ')).ok_or(NotOperator::NoSecret)?;
        if !scheme.eq_ignore_ascii_case("bearer") || !secrets.contain(shown) {
            return Err(NotOperator::WrongSecret);
        }
        let plain = |name: &&str| {
            (1..=LONGEST_NAME).contains(&name.len())
                && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b'@'))
        };
        let name = name.filter(plain).ok_or(NotOperator::NoName)?;
        Ok(Operator(name.to_owned()))
    }
}

/// An authenticated operator. The name is self-chosen, because the secret is shared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operator(String);
impl Operator {
    /// Returns the name for the audit log.
    pub fn name(&self) -> &str {
        &self.0
    }
}

/// The error of a failed authentication.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotOperator {
    /// No secret is configured.
    #[error("the operator endpoints are disabled: HEARLERS_OPERATOR_SECRET is not set")]
    Closed,
    /// The header `Authorization: Bearer` is missing.
    #[error("{} must be Bearer and the operators' secret", Operators::AUTHORIZATION)]
    NoSecret,
    /// The secret is wrong.
    #[error("this is not the operators' secret")]
    WrongSecret,
    /// The name is missing or not usable in an audit log.
    #[error("{} must be a name: 1 to {LONGEST_NAME} letters, digits and .-_@", Operators::NAME)]
    NoName,
}
impl DomainError for NotOperator {
    fn kind(&self) -> ErrorKind {
        match self {
            NotOperator::Closed => ErrorKind::Forbidden,
            NotOperator::NoSecret | NotOperator::WrongSecret => ErrorKind::Unauthenticated,
            NotOperator::NoName => ErrorKind::Invalid,
        }
    }
    fn reason(&self) -> Cow<'static, str> {
        match self {
            NotOperator::Closed => "OPERATOR_CLOSED",
            NotOperator::NoSecret => "OPERATOR_MISSING",
            NotOperator::WrongSecret => "OPERATOR_WRONG",
            NotOperator::NoName => "OPERATOR_NAMELESS",
        }
        .into()
    }
}
impl From<NotOperator> for tonic::Status {
    fn from(error: NotOperator) -> Self {
        grpc::status_of(&error)
    }
}
