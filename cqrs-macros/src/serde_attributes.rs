//! The attributes of serde that decide under which names a type is stored and which fields may be absent.
use crate::attr::snake;
use proc_macro2::TokenStream;
use syn::{Attribute, Expr, Ident, LitStr, Result, Token, ext::IdentExt, meta::ParseNestedMeta, parenthesized, token};

/// The attributes of serde on a type, a variant or a field.
#[derive(Default)]
pub(crate) struct SerdeAttributes {
    /// The keys that are present, such as `default` and `flatten`.
    keys: Vec<String>,
    rename: Both,
    aliases: Vec<String>,
    rename_all: Both,
    rename_all_fields: Both,
    pub(crate) tag: Option<String>,
    pub(crate) content: Option<String>,
}

/// A text for writing and one for reading: `rename = "a"` or `rename(serialize = "a", deserialize = "b")`.
#[derive(Default, Clone)]
pub(crate) struct Both {
    written: Option<String>,
    read: Option<String>,
}

/// The name under which a field or a variant is written, and all names under which it is read.
pub(crate) struct Names {
    pub(crate) written: String,
    pub(crate) read: Vec<String>,
}

impl SerdeAttributes {
    /// Parses the attributes. Returns `None` if they have a mistake, which serde's own derive reports.
    pub(crate) fn parse(attributes: &[Attribute]) -> Option<Self> {
        let mut found = SerdeAttributes::default();
        for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("serde")) {
            attribute.parse_nested_meta(|meta| found.take(&meta)).ok()?;
        }
        Some(found)
    }
    fn take(&mut self, meta: &ParseNestedMeta<'_>) -> Result<()> {
        let key = meta.path.get_ident().map(ToString::to_string).unwrap_or_default();
        match key.as_str() {
            "rename" => self.rename.take(meta)?,
            "rename_all" => self.rename_all.take(meta)?,
            "rename_all_fields" => self.rename_all_fields.take(meta)?,
            "alias" => self.aliases.push(text(meta)?),
            "tag" => self.tag = Some(text(meta)?),
            "content" => self.content = Some(text(meta)?),
            _ => skip_value(meta)?,
        }
        self.keys.push(key);
        Ok(())
    }
    pub(crate) fn has(&self, key: &str) -> bool {
        self.keys.iter().any(|found| found == key)
    }
    /// Returns `true` if functions or another type write or read the value.
    pub(crate) fn is_custom(&self) -> bool {
        ["with", "serialize_with", "deserialize_with", "from", "try_from", "into"].iter().any(|key| self.has(key))
    }
    pub(crate) fn is_skipped(&self) -> bool {
        self.has("skip")
    }
    /// Returns the rules for the names of the variant's fields, which are those of the enum if the variant has none.
    pub(crate) fn rules_for_fields(&self, of_enum: &SerdeAttributes) -> Both {
        let (own, outer) = (self.rename_all.clone(), of_enum.rename_all_fields.clone());
        Both { written: own.written.or(outer.written), read: own.read.or(outer.read) }
    }
    /// Returns the rules for the names of the struct's fields, or of the enum's variants.
    pub(crate) fn rules(&self) -> &Both {
        &self.rename_all
    }
    /// Returns the names of a field or variant under the rules of its type. `apply` applies a rule to its name in Rust.
    pub(crate) fn names(&self, ident: &Ident, rules: &Both, apply: fn(&str, &str) -> String) -> Names {
        let rust = ident.unraw().to_string();
        let named = |own: &Option<String>, rule: &Option<String>| match (own, rule) {
            (Some(own), _) => own.clone(),
            (None, Some(rule)) => apply(rule, &rust),
            (None, None) => rust.clone(),
        };
        let written = named(&self.rename.written, &rules.written);
        let read = [named(&self.rename.read, &rules.read)].into_iter().chain(self.aliases.iter().cloned());
        Names { written, read: read.collect() }
    }
}

impl Both {
    fn take(&mut self, meta: &ParseNestedMeta<'_>) -> Result<()> {
        if meta.input.peek(Token![=]) {
            let text = text(meta)?;
            *self = Both { written: Some(text.clone()), read: Some(text) };
            return Ok(());
        }
        meta.parse_nested_meta(|side| {
            match side.path.is_ident("serialize") {
                true => self.written = Some(text(&side)?),
                false => self.read = Some(text(&side)?),
            }
            Ok(())
        })
    }
}

/// Applies a rule of `rename_all` to the name of a variant.
pub(crate) fn variant_name(rule: &str, name: &str) -> String {
    match rule {
        "lowercase" => name.to_ascii_lowercase(),
        "UPPERCASE" => name.to_ascii_uppercase(),
        "camelCase" => uncapitalised(name),
        "snake_case" => snake(name),
        "SCREAMING_SNAKE_CASE" => snake(name).to_ascii_uppercase(),
        "kebab-case" => snake(name).replace('_', "-"),
        "SCREAMING-KEBAB-CASE" => snake(name).to_ascii_uppercase().replace('_', "-"),
        _ => name.to_owned(),
    }
}

/// Applies a rule of `rename_all` to the name of a field.
pub(crate) fn field_name(rule: &str, name: &str) -> String {
    let pascal = || name.split('_').map(capitalised).collect::<String>();
    match rule {
        "UPPERCASE" | "SCREAMING_SNAKE_CASE" => name.to_ascii_uppercase(),
        "PascalCase" => pascal(),
        "camelCase" => uncapitalised(&pascal()),
        "kebab-case" => name.replace('_', "-"),
        "SCREAMING-KEBAB-CASE" => name.to_ascii_uppercase().replace('_', "-"),
        _ => name.to_owned(),
    }
}

fn capitalised(word: &str) -> String {
    let mut chars = word.chars();
    chars.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(chars).collect()
}
fn uncapitalised(word: &str) -> String {
    let mut chars = word.chars();
    chars.next().map(|first| first.to_ascii_lowercase()).into_iter().chain(chars).collect()
}

fn text(meta: &ParseNestedMeta<'_>) -> Result<String> {
    Ok(meta.value()?.parse::<LitStr>()?.value())
}
fn skip_value(meta: &ParseNestedMeta<'_>) -> Result<()> {
    if meta.input.peek(Token![=]) {
        meta.value()?.parse::<Expr>()?;
    } else if meta.input.peek(token::Paren) {
        let inside;
        parenthesized!(inside in meta.input);
        inside.parse::<TokenStream>()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use syn::parse_quote;

    #[test]
    fn names_follow_the_rules_of_serde() {
        let rules = [
            ("lowercase", "orderplaced", "sent_at"),
            ("UPPERCASE", "ORDERPLACED", "SENT_AT"),
            ("PascalCase", "OrderPlaced", "SentAt"),
            ("camelCase", "orderPlaced", "sentAt"),
            ("snake_case", "order_placed", "sent_at"),
            ("SCREAMING_SNAKE_CASE", "ORDER_PLACED", "SENT_AT"),
            ("kebab-case", "order-placed", "sent-at"),
            ("SCREAMING-KEBAB-CASE", "ORDER-PLACED", "SENT-AT"),
        ];
        for (rule, variant, field) in rules {
            assert_eq!(
                (variant_name(rule, "OrderPlaced"), field_name(rule, "sent_at")),
                (variant.into(), field.into())
            );
        }
    }

    #[test]
    fn an_own_name_goes_before_a_rule_and_aliases_are_read_as_well() {
        let attributes: Vec<Attribute> = vec![
            parse_quote!(#[serde(rename(deserialize = "b"), alias = "c", bound = "T: Copy", default = "some::path")]),
            parse_quote!(#[serde(alias = "d", skip_serializing_if = "Option::is_none")]),
        ];
        let found = SerdeAttributes::parse(&attributes).expect("there is no mistake");
        let rules = SerdeAttributes::parse(&[parse_quote!(#[serde(rename_all = "UPPERCASE")])]);
        let names = found.names(&parse_quote!(r#type), rules.expect("there is no mistake").rules(), field_name);
        assert_eq!(names.written, "TYPE");
        assert_eq!(names.read, ["b", "c", "d"]);
        assert!(found.has("default") && found.has("skip_serializing_if") && !found.is_custom());
        assert!(SerdeAttributes::parse(&[parse_quote!(#[serde(rename = 7)])]).is_none());
    }
}
