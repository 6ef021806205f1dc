//! Attribute keys: `name = "..."` and the like, each with its own error.
use proc_macro2::Span;
use syn::{Attribute, Error, LitInt, LitStr, Result, Type, parse::Parser};

/// The keys of one attribute.
#[derive(Default)]
pub(crate) struct Keys {
    pub(crate) name: Option<LitStr>,
    pub(crate) version: Option<LitInt>,
    pub(crate) event: Option<Type>,
    pub(crate) key: Option<Type>,
    pub(crate) group: Option<LitStr>,
}
impl Keys {
    /// The keys of `#[attribute(...)]`; `allowed` is said when another key stands there.
    pub(crate) fn of(attributes: &[Attribute], attribute: &str, allowed: &[&str]) -> Result<Self> {
        let mut keys = Keys::default();
        for found in attributes.iter().filter(|it| it.path().is_ident(attribute)) {
            found.parse_nested_meta(|meta| keys.take(&meta, allowed))?;
        }
        Ok(keys)
    }
    /// The keys between an attribute macro's own brackets.
    pub(crate) fn parse(args: proc_macro2::TokenStream, allowed: &[&str]) -> Result<Self> {
        let mut keys = Keys::default();
        syn::meta::parser(|meta| keys.take(&meta, allowed)).parse2(args)?;
        Ok(keys)
    }
    fn take(&mut self, meta: &syn::meta::ParseNestedMeta<'_>, allowed: &[&str]) -> Result<()> {
        let key = meta.path.get_ident().map(ToString::to_string).unwrap_or_default();
        if !allowed.contains(&key.as_str()) {
            return Err(meta.error(format!("unknown key; there {}", are(allowed))));
        }
        match key.as_str() {
            "name" => self.name = Some(named(meta.value()?.parse()?)?),
            "group" => self.group = Some(named(meta.value()?.parse()?)?),
            "version" => self.version = Some(meta.value()?.parse()?),
            "event" => self.event = Some(meta.value()?.parse()?),
            _ => self.key = Some(meta.value()?.parse()?),
        }
        Ok(())
    }
}

fn are(allowed: &[&str]) -> String {
    match allowed {
        [] => "are none here".into(),
        [one] => format!("is `{one}`"),
        all => format!("are `{}`", all.join("`, `")),
    }
}

/// Names live in databases and topics: plain, and not empty.
fn named(name: LitStr) -> Result<LitStr> {
    let text = name.value();
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '-' | '_');
    if text.is_empty() || text.len() > 100 || !text.chars().all(plain) {
        return Err(Error::new(name.span(), "a stored name is 1 to 100 of a-z, 0-9, `.`, `-` and `_`"));
    }
    Ok(name)
}

/// What must be there, and why.
pub(crate) fn required<T>(value: Option<T>, at: Span, say: &str) -> Result<T> {
    value.ok_or_else(|| Error::new(at, say))
}

/// `RenamedTwice` as `renamed_twice`.
pub(crate) fn snake(name: &str) -> String {
    let mut out = String::new();
    for (i, c) in name.chars().enumerate() {
        if c.is_uppercase() && i > 0 {
            out.push('_');
        }
        out.extend(c.to_lowercase());
    }
    out
}
