//! Authentication of operators, who may list, look at, redeliver and discard parked messages.
use crate::{
    BadKeys, Key,
    keys::{counted, id_of},
    watch::{KeySet, Reloaded},
};
use cqrs_core::{DomainError, ErrorKind, grpc};
use sha2::{Digest, Sha256};
use std::{borrow::Cow, path::PathBuf, sync::Arc};
use subtle::{ConditionallySelectable, ConstantTimeEq};
use tonic::codegen::http::HeaderMap;

/// The longest name of an operator, in bytes.
const LONGEST_NAME: usize = 64;

/// The operators, each with a secret of their own. Without any the operator endpoints are disabled.
///
/// An endpoint calls [`check`](Self::check) with the header of HTTP or gRPC, and records the name in its audit log. The name is
/// that of the secret, so no operator acts in the name of another:
///
/// ```
/// use service_auth::operators::{NotOperator, Operators};
///
/// let operators = Operators::parse("kim=kims-secret-of-at-least-32-bytes-in-all
/// lee=lees-secret-of-at-least-32-bytes-in-all").unwrap();
/// let kim = operators.check(Some("Bearer kims-secret-of-at-least-32-bytes-in-all")).unwrap();
/// assert_eq!(kim.name(), "kim");
/// assert_eq!(operators.check(Some("Bearer guessed")), Err(NotOperator::WrongSecret));
/// ```
#[derive(Clone)]
pub struct Operators(Option<Arc<Reloaded<Vec<OperatorKey>>>>);
/// An operator with the hash of their secret.
struct OperatorKey {
    name: Arc<str>,
    hash: [u8; 32],
    /// Distinguishes a changed secret from the former one.
    id: String,
}
impl std::fmt::Debug for Operators {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.is_enabled() { "Operators(***)" } else { "Operators(none)" })
    }
}
impl Operators {
    /// The header with `Bearer` and the secret.
    pub const AUTHORIZATION: &str = "authorization";

    /// Returns the authenticator that refuses everybody: the operator endpoints are disabled.
    pub fn none() -> Self {
        Operators(None)
    }
    /// Parses operators, one a line: `NAME=SECRET`, the operator's name and their secret. An operator may have several secrets,
    /// while one is replaced. Empty lines and those that begin with `#` are skipped.
    ///
    /// # Errors
    /// Fails when a line is not a name and a secret, and when there are too many.
    pub fn parse(text: &str) -> Result<Self, BadKeys> {
        Ok(Operators(Some(Reloaded::new(KeySet::parse(text)?))))
    }
    /// Reads operators from a file, as [`parse`](Operators::parse) does, and again when it has changed.
    ///
    /// # Errors
    /// Fails when the file cannot be read or its lines cannot be used.
    pub fn of_file(file: impl Into<PathBuf>) -> Result<Self, BadKeys> {
        Ok(Operators(Some(Reloaded::of_file(file.into())?)))
    }
    /// Returns whether there are any operators.
    pub fn is_enabled(&self) -> bool {
        self.0.is_some()
    }
    /// Returns [`check`](Self::check) as a function of HTTP headers, for `operations::Program::operator_api`.
    pub fn authenticator(self) -> impl Fn(&HeaderMap) -> Result<String, String> + Send + Sync + 'static {
        move |headers| {
            let mut shown = headers.get_all(Self::AUTHORIZATION).iter();
            let authorization = shown.next().and_then(|value| value.to_str().ok()).filter(|_| shown.next().is_none());
            let found = self.check(authorization);
            found.map(|operator| operator.name().to_owned()).map_err(|refused| refused.to_string())
        }
    }
    /// Authenticates an operator by the value of [`AUTHORIZATION`](Self::AUTHORIZATION). The duration does not depend on the
    /// secrets.
    ///
    /// # Errors
    /// Fails when the secret is missing or wrong.
    pub fn check(&self, authorization: Option<&str>) -> Result<Operator, NotOperator> {
        let keys = self.0.as_ref().ok_or(NotOperator::Closed)?.current();
        let (scheme, shown) = authorization.and_then(|value| value.split_once(' ')).ok_or(NotOperator::NoSecret)?;
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Err(NotOperator::NoSecret);
        }
        let shown: [u8; 32] = Sha256::digest(shown.as_bytes()).into();
        let mut found = u32::MAX;
        for (key, number) in keys.iter().zip(0..) {
            found.conditional_assign(&number, key.hash[..].ct_eq(&shown[..]));
        }
        let found = usize::try_from(found).ok().and_then(|number| keys.get(number)).ok_or(NotOperator::WrongSecret)?;
        Ok(Operator(found.name.clone()))
    }
}
impl KeySet for Vec<OperatorKey> {
    const NAME: &'static str = "operators";

    fn parse(text: &str) -> Result<Self, BadKeys> {
        let mut keys = Vec::new();
        for (line, number) in text.lines().map(str::trim).zip(1..) {
            if !line.is_empty() && !line.starts_with('#') {
                keys.push(OperatorKey::parse(line).ok_or(BadKeys::NotOperator(number))?);
            }
        }
        // A file without operators is valid before the first one is added: it refuses every call.
        if keys.is_empty() { Ok(keys) } else { counted(keys) }
    }
    fn ids(&self) -> Vec<&str> {
        self.iter().flat_map(|key| [&*key.name, &key.id]).collect()
    }
}
impl OperatorKey {
    fn parse(line: &str) -> Option<Self> {
        let (name, secret) = line.split_once('=')?;
        let name = name.trim();
        let is_plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b'@'))
            && !name.is_empty();
        let secret = Key::new(secret.trim()).filter(|_| is_plain && name.len() <= LONGEST_NAME)?;
        let (hash, id) = (Sha256::digest(secret.bytes()).into(), id_of(secret.bytes()));
        Some(OperatorKey { name: name.into(), hash, id })
    }
}

/// An authenticated operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operator(Arc<str>);
impl Operator {
    /// Returns the name for the audit log.
    pub fn name(&self) -> &str {
        &self.0
    }
}

/// The error of a failed authentication.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotOperator {
    /// There are no operators.
    #[error("the operator endpoints are disabled: HEARLERS_OPERATORS is not set")]
    Closed,
    /// There is no bearer secret.
    #[error("{} needs `Bearer` and the operator's secret", Operators::AUTHORIZATION)]
    NoSecret,
    /// The secret is no operator's.
    #[error("the operator's secret is wrong")]
    WrongSecret,
}
impl DomainError for NotOperator {
    fn kind(&self) -> ErrorKind {
        match self {
            NotOperator::Closed => ErrorKind::Forbidden,
            NotOperator::NoSecret | NotOperator::WrongSecret => ErrorKind::Unauthenticated,
        }
    }
    fn reason(&self) -> Cow<'static, str> {
        match self {
            NotOperator::Closed => "OPERATOR_CLOSED",
            NotOperator::NoSecret => "OPERATOR_MISSING",
            NotOperator::WrongSecret => "OPERATOR_WRONG",
        }
        .into()
    }
}
impl From<NotOperator> for tonic::Status {
    fn from(error: NotOperator) -> Self {
        grpc::status_of(&error)
    }
}
