//! `derive(View)`: implements `View` and adds a function for each index.
use crate::{
    aggregate::named_fields,
    attr::{Keys, required},
};
use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::{
    DeriveInput, Error, Field, Ident, Result, Token, Type, parenthesized,
    parse::{Parse, ParseStream},
    punctuated::Punctuated,
};

/// An index as written in the attribute: `by_owner(owner, -opened)`.
struct Index {
    name: Ident,
    columns: Punctuated<Column, Token![,]>,
}
struct Column {
    field: Ident,
    signed: bool,
    descending: bool,
}
impl Parse for Index {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let name = input.parse()?;
        let columns;
        parenthesized!(columns in input);
        Ok(Index { name, columns: columns.parse_terminated(Column::parse, Token![,])? })
    }
}
impl Parse for Column {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let descending = input.parse::<Option<Token![-]>>()?.is_some();
        let ascending = !descending && input.parse::<Option<Token![+]>>()?.is_some();
        Ok(Column { field: input.parse()?, signed: descending || ascending, descending })
    }
}

pub(crate) fn expand(input: &DeriveInput) -> Result<TokenStream> {
    let ident = &input.ident;
    let keys = Keys::from_attributes(&input.attrs, "view", &["name", "key"])?;
    let message = "a view is stored under an explicit name: write `#[view(name = \"...\", key = Type)]`";
    let name = required(keys.name, ident.span(), message)?;
    let key = required(keys.key, ident.span(), "a view needs the type of its key: write `#[view(..., key = Type)]`")?;
    let attributes = input.attrs.iter().filter(|attribute| attribute.path().is_ident("index"));
    let indexes = attributes.map(|attribute| attribute.parse_args::<Index>());
    let indexes = indexes.collect::<Result<Vec<_>>>()?;
    let fields = match indexes.is_empty() {
        true => Vec::new(),
        false => named_fields(input, "a view with an index must be a struct with named fields")?,
    };
    let mut entries = Vec::new();
    let mut ranges = Vec::new();
    for (i, index) in indexes.iter().enumerate() {
        if indexes[..i].iter().any(|before| before.name == index.name) {
            return Err(Error::new(index.name.span(), format!("two indexes have the name `{}`", index.name)));
        }
        entries.push(entry(index, &fields)?);
        ranges.push(range(index, &fields)?);
    }
    let entries = (!entries.is_empty()).then(|| {
        quote! {
            fn entries(&self) -> ::std::vec::Vec<(&'static str, ::std::vec::Vec<u8>)> {
                ::std::vec![#(#entries),*]
            }
        }
    });
    Ok(quote! {
        impl ::cqrs_core::View for #ident {
            const NAME: &'static str = #name;
            type Key = #key;
            #entries
        }
        impl #ident { #(#ranges)* }
    })
}

fn field<'a>(column: &Column, fields: &[&'a Field]) -> Result<&'a Field> {
    let found = fields.iter().find(|field| field.ident.as_ref() == Some(&column.field)).copied();
    found.ok_or_else(|| Error::new(column.field.span(), format!("the view has no field `{}`", column.field)))
}

fn entry(index: &Index, fields: &[&Field]) -> Result<TokenStream> {
    let name = index.name.to_string();
    let mut puts = Vec::new();
    for column in &index.columns {
        let field = &field(column, fields)?.ident;
        let put = if column.descending { quote!(put_descending) } else { quote!(put) };
        puts.push(quote_spanned!(column.field.span()=> ::cqrs_core::IndexKey::#put(&self.#field, &mut entry);));
    }
    Ok(quote!((#name, { let mut entry = ::std::vec::Vec::new(); #(#puts)* entry })))
}

/// Writes the function that returns a range of the index. Its argument is the value of the first column. An index whose
/// first column has a sign orders all entries, so its function takes no argument.
fn range(index: &Index, fields: &[&Field]) -> Result<TokenStream> {
    let Some(first) = index.columns.first() else {
        return Err(Error::new(index.name.span(), "an index must have at least one column"));
    };
    let (name, text) = (&index.name, index.name.to_string());
    let doc = format!("Returns the range of the index `{text}`, for `Views::page`.");
    let (given, put) = if first.signed {
        (quote!(), quote!())
    } else {
        let (given, ty) = (&first.field, &field(first, fields)?.ty);
        let ty = if is_string(ty) { quote!(str) } else { quote!(#ty) };
        (quote!(#given: &#ty), quote!(::cqrs_core::IndexKey::put(#given, &mut prefix);))
    };
    let mutable = (!first.signed).then(|| quote!(mut));
    Ok(quote! {
        #[doc = #doc]
        #[allow(dead_code)]
        pub fn #name(#given) -> ::cqrs_core::Range<Self> {
            let #mutable prefix = ::std::vec::Vec::new();
            #put
            ::cqrs_core::Range::new(#text, prefix)
        }
    })
}

fn is_string(ty: &Type) -> bool {
    matches!(ty, Type::Path(path) if path.path.segments.last().is_some_and(|segment| segment.ident == "String"))
}
