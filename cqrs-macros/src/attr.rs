//! Parses the keys of attributes, such as `name = "..."`.
use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::{
    Attribute, Error, LitInt, LitStr, Path, Result, Token, Type, parenthesized,
    parse::{Parse, ParseStream, Parser},
    punctuated::Punctuated,
};

/// The keys of one attribute. A key that is not written is `None`.
#[derive(Default)]
pub(crate) struct Keys {
    pub(crate) name: Option<LitStr>,
    pub(crate) version: Option<LitInt>,
    pub(crate) event: Option<Type>,
    pub(crate) key: Option<Type>,
    pub(crate) group: Option<LitStr>,
    pub(crate) from: Option<FirstEvent>,
    pub(crate) topic: Option<LitStr>,
    pub(crate) encoding: Option<LitStr>,
    pub(crate) upcast: Option<Vec<Upcast>>,
    /// The word `inline`.
    pub(crate) inline: bool,
    pub(crate) limit: Option<Limit>,
}

/// The limit that a function uses: `limit = "llm"`, or `limit = "llm", 8` with its concurrency.
pub(crate) struct Limit {
    name: LitStr,
    concurrency: Option<LitInt>,
}
impl Limit {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let name = stored_name(input.parse()?)?;
        let concurrency = if input.peek(Token![,]) && input.peek2(LitInt) {
            input.parse::<Token![,]>()?;
            Some(input.parse()?)
        } else {
            None
        };
        Ok(Limit { name, concurrency })
    }
    /// Returns the call that adds the limit to a registration; nothing without a limit.
    pub(crate) fn call(limit: Option<&Self>) -> TokenStream {
        match limit {
            None => TokenStream::new(),
            Some(Limit { name, concurrency: None }) => quote!(.limited(#name, ::core::option::Option::None)),
            Some(Limit { name, concurrency: Some(permits) }) => {
                quote!(.limited(#name, ::core::option::Option::Some(#permits)))
            }
        }
    }
}

/// The event with which a new reader of the service's own log begins: `from = "now"` or `from = "beginning"`.
pub(crate) enum FirstEvent {
    Now,
    Beginning,
}
impl Parse for FirstEvent {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let value: LitStr = input.parse()?;
        match &*value.value() {
            "now" => Ok(FirstEvent::Now),
            "beginning" => Ok(FirstEvent::Beginning),
            _ => Err(Error::new(value.span(), "`from` is `\"now\"` or `\"beginning\"`")),
        }
    }
}

/// A version of an event's stored form with the function that makes the next one of it: `1 = from_1`.
pub(crate) struct Upcast {
    pub(crate) version: LitInt,
    pub(crate) function: Path,
}
impl Parse for Upcast {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let version = input.parse()?;
        input.parse::<Token![=]>()?;
        Ok(Upcast { version, function: input.parse()? })
    }
}
impl Keys {
    /// Parses the keys of `#[attribute(...)]`. Fails at a key that is not in `allowed`.
    pub(crate) fn from_attributes(attributes: &[Attribute], attribute: &str, allowed: &[&str]) -> Result<Self> {
        let mut keys = Keys::default();
        for found in attributes.iter().filter(|candidate| candidate.path().is_ident(attribute)) {
            found.parse_nested_meta(|meta| keys.take(&meta, allowed))?;
        }
        Ok(keys)
    }
    /// Parses the arguments of an attribute macro.
    pub(crate) fn parse(args: TokenStream, allowed: &[&str]) -> Result<Self> {
        let mut keys = Keys::default();
        syn::meta::parser(|meta| keys.take(&meta, allowed)).parse2(args)?;
        Ok(keys)
    }
    fn take(&mut self, meta: &syn::meta::ParseNestedMeta<'_>, allowed: &[&str]) -> Result<()> {
        let key = meta.path.get_ident().map(ToString::to_string).unwrap_or_default();
        if !allowed.contains(&key.as_str()) {
            return Err(meta.error(format!("unknown key: {}", expected(allowed))));
        }
        match key.as_str() {
            // Others may have chosen the name of an integration event.
            "name" if allowed.contains(&"topic") => self.name = Some(wire_name(meta.value()?.parse()?)?),
            "name" => self.name = Some(stored_name(meta.value()?.parse()?)?),
            "group" => self.group = Some(stored_name(meta.value()?.parse()?)?),
            "inline" => self.inline = true,
            "limit" => self.limit = Some(Limit::parse(meta.value()?)?),
            "from" => self.from = Some(meta.value()?.parse()?),
            "version" => self.version = Some(meta.value()?.parse()?),
            "topic" => self.topic = Some(wire_name(meta.value()?.parse()?)?),
            "encoding" => self.encoding = Some(meta.value()?.parse()?),
            "upcast" => {
                let upcasts;
                parenthesized!(upcasts in meta.input);
                let upcasts: Punctuated<_, Token![,]> = upcasts.parse_terminated(Upcast::parse, Token![,])?;
                self.upcast = Some(upcasts.into_iter().collect());
            }
            "event" => self.event = Some(meta.value()?.parse()?),
            _ => self.key = Some(meta.value()?.parse()?),
        }
        Ok(())
    }
}

fn expected(allowed: &[&str]) -> String {
    match allowed {
        [] => "this attribute takes no keys".into(),
        [key] => format!("expected `{key}`"),
        keys => format!("expected one of `{}`", keys.join("`, `")),
    }
}

/// Checks a name that is stored in databases and used in topics: it must be valid in both.
fn stored_name(name: LitStr) -> Result<LitStr> {
    let text = name.value();
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '-' | '_');
    if text.is_empty() || text.len() > 100 || !text.chars().all(plain) {
        return Err(Error::new(name.span(), "a stored name has 1 to 100 characters out of a-z, 0-9, `.`, `-` and `_`"));
    }
    Ok(name)
}

/// Checks a name that is sent in records: a topic, or the type of an event. The characters are those of Kafka's topics.
fn wire_name(name: LitStr) -> Result<LitStr> {
    let text = name.value();
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    if text.is_empty() || text.len() > 249 || !text.chars().all(plain) {
        let message = "a topic or the name of an integration event has 1 to 249 characters out of a-z, A-Z, 0-9, `.`, \
            `-` and `_`";
        return Err(Error::new(name.span(), message));
    }
    Ok(name)
}

/// Returns the value, or an error with this message at `span`.
pub(crate) fn required<T>(value: Option<T>, span: Span, message: &str) -> Result<T> {
    value.ok_or_else(|| Error::new(span, message))
}

/// Converts `RenamedTwice` to `renamed_twice`.
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

/// Converts `by_owner` to `ByOwner`.
pub(crate) fn pascal(name: &str) -> String {
    let words = name.trim_start_matches("r#").split('_');
    let capitalised =
        |word: &str| word.chars().next().map(|first| format!("{}{}", first.to_uppercase(), &word[first.len_utf8()..]));
    words.filter_map(capitalised).collect()
}
