//! Who may look into what got stuck, replay it or throw it away: whoever knows the operators' secret.
use crate::Key;
use cqrs_core::{DomainError, ErrorKind, grpc};
use sha2::{Digest, Sha256};
use std::borrow::Cow;
use subtle::ConstantTimeEq;
use tonic::codegen::http::HeaderMap;

/// The longest name of an operator.
const LONGEST_NAME: usize = 64;

/// Checks that somebody is an operator. Without a secret nobody is: then the endpoints that ask are closed.
///
/// An endpoint calls [`check`](Self::check) with two headers, of HTTP or of gRPC, and writes the name into its audit:
///
/// ```
/// use trust::{Key, operators::{NotOperator, Operators}};
///
/// let operators = Operators::new(Key::new("the operators' secret, not the gateway's"));
/// let kim = operators.check(Some("Bearer the operators' secret, not the gateway's"), Some("kim")).unwrap();
/// assert_eq!(kim.name(), "kim");
/// assert_eq!(operators.check(Some("Bearer guessed"), Some("kim")), Err(NotOperator::WrongSecret));
/// ```
#[derive(Clone)]
pub struct Operators(Option<[u8; 32]>);
impl std::fmt::Debug for Operators {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.are_there() { "Operators(***)" } else { "Operators(none)" })
    }
}
impl Operators {
    /// The header that has `Bearer` and the secret.
    pub const AUTHORIZATION: &str = "authorization";
    /// The header that says which operator it is, for the audit.
    pub const NAME: &str = "hearlers-operator";

    /// Those who know this secret.
    pub fn new(secret: Option<Key>) -> Self {
        Operators(secret.map(|it| Sha256::digest(it.bytes()).into()))
    }
    /// Whether there can be any.
    pub fn are_there(&self) -> bool {
        self.0.is_some()
    }
    /// The same as a question about the headers of an HTTP request, for `operations::Program::operated`.
    pub fn asked(self) -> impl Fn(&HeaderMap) -> Result<String, String> + Send + Sync + 'static {
        move |headers| {
            let text = |name| headers.get(name).and_then(|it| it.to_str().ok());
            let found = self.check(text(Self::AUTHORIZATION), text(Self::NAME));
            found.map(|it| it.name().to_owned()).map_err(|refused| refused.to_string())
        }
    }
    /// The operator, from the values of [`AUTHORIZATION`](Self::AUTHORIZATION) and [`NAME`](Self::NAME).
    ///
    /// # Errors
    /// Why it is none.
    pub fn check(&self, authorization: Option<&str>, name: Option<&str>) -> Result<Operator, NotOperator> {
        let secret = self.0.ok_or(NotOperator::Closed)?;
        let (scheme, shown) = authorization.and_then(|it| it.split_once(' ')).ok_or(NotOperator::NoSecret)?;
        // Hashes of one length, compared whole: how long it takes tells nothing.
        let right = Sha256::digest(shown.as_bytes()).ct_eq(&secret);
        if !scheme.eq_ignore_ascii_case("bearer") || !bool::from(right) {
            return Err(NotOperator::WrongSecret);
        }
        let plain = |it: &&str| {
            (1..=LONGEST_NAME).contains(&it.len())
                && it.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b'@'))
        };
        let name = name.filter(plain).ok_or(NotOperator::NoName)?;
        Ok(Operator(name.to_owned()))
    }
}

/// Somebody who may do it. The name is what they call themselves: the secret is shared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operator(String);
impl Operator {
    /// For the audit.
    pub fn name(&self) -> &str {
        &self.0
    }
}

/// Why somebody is no operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotOperator {
    /// No secret is configured.
    #[error("there are no operators: HEARLERS_OPERATOR_SECRET is not set")]
    Closed,
    /// No `Authorization: Bearer`.
    #[error("{} must be Bearer and the operators' secret", Operators::AUTHORIZATION)]
    NoSecret,
    /// Another secret.
    #[error("this is not the operators' secret")]
    WrongSecret,
    /// No name, or none for an audit.
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
    fn from(it: NotOperator) -> Self {
        grpc::status_of(&it)
    }
}
