//! `#[personal(subject = field)]`: describes the fields of a type whose values are encrypted with the key of a subject.
use crate::serde_attributes::{SerdeAttributes, field_name, variant_name};
use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::{
    Attribute, Data, DeriveInput, Error, Expr, Field, Fields, Ident, Result, Type, ext::IdentExt, spanned::Spanned,
};

/// The keys of one `#[personal(...)]`.
struct Attributes {
    span: Span,
    subject: Option<Ident>,
    erased: Option<Expr>,
    /// The word `fields`: the type of the field has personal fields of its own.
    fields: bool,
}
impl Attributes {
    fn of(attributes: &[Attribute]) -> Result<Option<Self>> {
        let mut found = None;
        for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("personal")) {
            if found.is_some() {
                return Err(Error::new_spanned(attribute, "a field has one `personal`"));
            }
            let mut keys = Attributes { span: attribute.span(), subject: None, erased: None, fields: false };
            attribute.parse_nested_meta(|meta| {
                if meta.path.is_ident("subject") {
                    keys.subject = Some(meta.value()?.parse()?);
                } else if meta.path.is_ident("erased") {
                    keys.erased = Some(meta.value()?.parse()?);
                } else if meta.path.is_ident("fields") {
                    keys.fields = true;
                } else {
                    return Err(meta.error("unknown key: expected `subject`, `erased` or `fields`"));
                }
                Ok(())
            })?;
            if keys.fields && (keys.subject.is_some() || keys.erased.is_some()) {
                return Err(Error::new(keys.span, "`fields` stands alone: the fields of the type name their subjects"));
            }
            if !keys.fields && keys.subject.is_none() {
                let message = "a personal value needs the field that names its subject: write \
                    `#[personal(subject = field)]`, or `#[personal(fields)]` if its type has personal fields itself";
                return Err(Error::new(keys.span, message));
            }
            found = Some(keys);
        }
        Ok(found)
    }
}

/// The personal fields of a type.
#[derive(Default)]
pub(crate) struct Personal {
    /// The elements of the description.
    described: Vec<TokenStream>,
    /// The types that must not be printed.
    redacted: Vec<Type>,
    is_enum: bool,
    tag: String,
    content: String,
}

impl Personal {
    pub(crate) fn of(input: &DeriveInput) -> Result<Self> {
        if Attributes::of(&input.attrs)?.is_some() {
            return Err(Error::new(input.ident.span(), "`personal` on a type is for commands: write it on the fields"));
        }
        Personal::of_fields(input)
    }
    fn of_fields(input: &DeriveInput) -> Result<Self> {
        let mut personal = Personal::default();
        // Serde's own derive reports a mistake in its attributes.
        let own = SerdeAttributes::parse(&input.attrs).unwrap_or_default();
        match &input.data {
            Data::Struct(data) => {
                personal.add("", &data.fields, |serde, ident| serde.names(ident, own.rules(), field_name).written)?
            }
            Data::Enum(data) => {
                personal.is_enum = true;
                (personal.tag, personal.content) =
                    (own.tag.clone().unwrap_or_default(), own.content.clone().unwrap_or_default());
                for variant in &data.variants {
                    let serde = SerdeAttributes::parse(&variant.attrs).unwrap_or_default();
                    let name = serde.names(&variant.ident, own.rules(), variant_name).written;
                    let rules = serde.rules_for_fields(&own);
                    personal
                        .add(&name, &variant.fields, |field, ident| field.names(ident, &rules, field_name).written)?;
                }
                if !personal.is_empty() && own.has("untagged") {
                    let message =
                        "an untagged enum cannot have personal fields: its stored form does not tell the variant";
                    return Err(Error::new(input.ident.span(), message));
                }
            }
            Data::Union(_) => (),
        }
        Ok(personal)
    }
    pub(crate) fn is_empty(&self) -> bool {
        self.described.is_empty()
    }
    fn add(
        &mut self,
        variant: &str,
        fields: &Fields,
        stored_name: impl Fn(&SerdeAttributes, &Ident) -> String,
    ) -> Result<()> {
        for field in fields {
            let Some(keys) = Attributes::of(&field.attrs)? else { continue };
            let serde = SerdeAttributes::parse(&field.attrs).unwrap_or_default();
            if serde.has("flatten") {
                return Err(Error::new(
                    keys.span,
                    "a flattened field cannot be personal: write `personal` on its fields",
                ));
            }
            let name = match &field.ident {
                Some(ident) => stored_name(&serde, ident),
                None if fields.len() == 1 && keys.fields => String::new(),
                None => {
                    return Err(Error::new(
                        keys.span,
                        "a personal field needs a name: write a struct with named fields",
                    ));
                }
            };
            let ty = &field.ty;
            let span = ty.span().resolved_at(Span::call_site());
            let rule = match &keys.subject {
                None => {
                    let inner = inside(ty);
                    quote_spanned!(span=> ::cqrs_core::personal::PersonalRule::Fields(
                        <#inner as ::cqrs_core::personal::HasPersonalFields>::PERSONAL
                    ))
                }
                Some(subject) => {
                    let subject_field = named(fields, subject)?;
                    let subject_serde = SerdeAttributes::parse(&subject_field.attrs).unwrap_or_default();
                    let subject = stored_name(&subject_serde, subject);
                    let erased = placeholder(ty, keys.erased.as_ref());
                    self.redacted.push(ty.clone());
                    quote_spanned!(span=>
                        ::cqrs_core::personal::PersonalRule::Value { subject: #subject, erased: #erased }
                    )
                }
            };
            self.described.push(quote! {
                ::cqrs_core::personal::PersonalField { variant: #variant, name: #name, rule: #rule }
            });
        }
        Ok(())
    }
    /// Writes the constant `PERSONAL`; nothing without personal fields.
    pub(crate) fn constant(&self) -> TokenStream {
        if self.is_empty() { TokenStream::new() } else { self.required_constant() }
    }
    /// Writes the constant `PERSONAL` also without personal fields.
    pub(crate) fn required_constant(&self) -> TokenStream {
        let Personal { described, is_enum, tag, content, .. } = self;
        quote! {
            const PERSONAL: &'static ::cqrs_core::personal::PersonalFields = &::cqrs_core::personal::PersonalFields {
                is_enum: #is_enum,
                tag: #tag,
                content: #content,
                fields: &[#(#described),*],
            };
        }
    }
    /// Writes the check that the debug output of no personal value shows it.
    pub(crate) fn checks(&self) -> TokenStream {
        redacted(&self.redacted)
    }
}

/// `derive(PersonalFields)`: for a type inside an event, a state or a view.
pub(crate) fn expand(input: &DeriveInput) -> Result<TokenStream> {
    let (ident, personal) = (&input.ident, Personal::of(input)?);
    let (constant, checks) = (personal.required_constant(), personal.checks());
    Ok(quote! {
        impl ::cqrs_core::personal::HasPersonalFields for #ident { #constant }
        #checks
    })
}

/// Returns `true` if the field is personal.
pub(crate) fn is_personal(field: &Field) -> bool {
    field.attrs.iter().any(|attribute| attribute.path().is_ident("personal"))
}

/// Returns the placeholder function of a personal field.
pub(crate) fn placeholder_of(field: &Field) -> Result<TokenStream> {
    let erased = Attributes::of(&field.attrs)?.and_then(|keys| keys.erased);
    Ok(placeholder(&field.ty, erased.as_ref()))
}

/// Writes the description of a command's personal fields and its method `personal_subject`, and the check of its debug
/// output.
pub(crate) fn command(input: &DeriveInput) -> Result<(TokenStream, TokenStream)> {
    let mut found = Attributes::of(&input.attrs)?.into_iter().collect::<Vec<_>>();
    let fields = match &input.data {
        Data::Struct(data) => &data.fields,
        Data::Enum(data) => {
            if let Some(field) =
                data.variants.iter().flat_map(|variant| &variant.fields).find(|field| is_personal(field))
            {
                return Err(Error::new(field.span(), "a command with personal fields is a struct"));
            }
            return Ok(Default::default());
        }
        Data::Union(_) => return Ok(Default::default()),
    };
    for field in fields {
        let Some(keys) = Attributes::of(&field.attrs)? else { continue };
        if keys.fields {
            let message = "the personal values of a command are of one subject, which is that of its response: write \
                `#[personal(subject = field)]`";
            return Err(Error::new(keys.span, message));
        }
        found.push(keys);
    }
    let mut subjects = found.iter().filter_map(|keys| keys.subject.as_ref());
    let Some(subject) = subjects.next() else { return Ok(Default::default()) };
    if let Some(other) = subjects.find(|other| *other != subject) {
        let message = "the stored response of a command is encrypted for one subject: name the same one in each field";
        return Err(Error::new(other.span(), message));
    }
    named(fields, subject)?;
    let personal = Personal::of_fields(input)?;
    let (constant, span) = (personal.constant(), subject.span().resolved_at(Span::call_site()));
    let members = quote_spanned! {span=>
        #constant
        fn personal_subject(&self) -> ::core::option::Option<::std::string::String> {
            ::cqrs_core::__private::subject_text(&self.#subject)
        }
    };
    Ok((members, personal.checks()))
}

fn placeholder(ty: &Type, erased: Option<&Expr>) -> TokenStream {
    let span = ty.span().resolved_at(Span::call_site());
    match erased {
        None => quote_spanned!(span=> ::cqrs_core::__private::erased_default::<#ty>),
        Some(erased) => quote_spanned!(span=> || ::cqrs_core::__private::erased::<#ty>(#erased)),
    }
}

fn redacted(types: &[Type]) -> TokenStream {
    let checks = types.iter().map(|ty| {
        let span = ty.span().resolved_at(Span::call_site());
        quote_spanned!(span=> ::cqrs_core::__private::is_redacted::<#ty>();)
    });
    if types.is_empty() { TokenStream::new() } else { quote!(const _: () = { #(#checks)* };) }
}

/// Returns the field that names a subject.
fn named<'f>(fields: &'f Fields, name: &Ident) -> Result<&'f Field> {
    let is_named = |field: &&Field| field.ident.as_ref().is_some_and(|ident| ident.unraw() == name.unraw());
    let field = fields.iter().find(is_named);
    let field = field.ok_or_else(|| {
        Error::new(name.span(), format!("there is no field `{name}` beside the personal one: it holds the subject"))
    })?;
    match is_personal(field) {
        true => Err(Error::new(name.span(), "a subject cannot be personal: it stays when the subject is forgotten")),
        false => Ok(field),
    }
}

/// Returns the type inside `Option<...>`, `Vec<...>` and `Box<...>`, whose JSON has the fields in the same way.
fn inside(ty: &Type) -> &Type {
    if let Type::Path(path) = ty
        && let Some(last) = path.path.segments.last()
        && ["Option", "Vec", "Box"].iter().any(|name| last.ident == name)
        && let syn::PathArguments::AngleBracketed(arguments) = &last.arguments
        && let Some(syn::GenericArgument::Type(inner)) = arguments.args.first()
    {
        return inside(inner);
    }
    ty
}
