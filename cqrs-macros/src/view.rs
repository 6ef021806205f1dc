//! `derive(View)`: implements `View` and adds a function for each index.
use crate::{
    aggregate::named_fields,
    attr::{Keys, pascal, required},
    personal::{Personal, is_personal},
    stored_form,
};
use proc_macro2::{Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
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
    descending: bool,
}
impl Column {
    /// Returns the column as the attribute has it.
    fn described(&self) -> String {
        format!("{}{}", if self.descending { "-" } else { "" }, self.field)
    }
    /// Returns the method of `IndexKey` that encodes a value of the column.
    fn put(&self) -> TokenStream {
        if self.descending { quote!(put_descending) } else { quote!(put) }
    }
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
        Ok(Column { field: input.parse()?, descending })
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
        ranges.push(range(ident, index, &fields)?);
    }
    let described = indexes.iter().map(|index| {
        let (name, columns) = (index.name.to_string(), index.columns.iter().map(Column::described).collect::<Vec<_>>());
        let columns = columns.join(", ");
        quote!((#name, #columns))
    });
    let entries = (!entries.is_empty()).then(|| {
        quote! {
            const INDEXES: &'static [(&'static str, &'static str)] = &[#(#described),*];
            fn entries(&self) -> ::std::vec::Vec<(&'static str, ::std::vec::Vec<u8>)> {
                ::std::vec![#(#entries),*]
            }
        }
    });
    let stored_form = stored_form::method(input, &[])?;
    let personal = Personal::of(input)?;
    let (constant, checks) = (personal.constant(), personal.checks());
    Ok(quote! {
        impl ::cqrs_core::View for #ident {
            const NAME: &'static str = #name;
            type Key = #key;
            #entries
            #constant
            #stored_form
        }
        #checks
        #(#ranges)*
    })
}

fn field<'a>(column: &Column, fields: &[&'a Field]) -> Result<&'a Field> {
    let found = fields.iter().find(|field| field.ident.as_ref() == Some(&column.field)).copied();
    let found =
        found.ok_or_else(|| Error::new(column.field.span(), format!("the view has no field `{}`", column.field)))?;
    if is_personal(found) {
        let message = "an index cannot have a personal column: it would store the value readable, in the order of the \
            values; make a field with its keyed hash the column (`cqrs_core::personal::KeyedHashes`)";
        return Err(Error::new(column.field.span(), message));
    }
    Ok(found)
}

fn entry(index: &Index, fields: &[&Field]) -> Result<TokenStream> {
    let name = index.name.to_string();
    let mut puts = Vec::new();
    for column in &index.columns {
        let (field, put) = (&field(column, fields)?.ident, column.put());
        // Located at the column for errors about its type. A `macro_rules!` may have passed the column, and its span would
        // not see `self`.
        let span = Span::call_site().located_at(column.field.span());
        puts.push(quote_spanned!(span=> ::cqrs_core::IndexKey::#put(&self.#field, &mut entry);));
    }
    Ok(quote!((#name, { let mut entry = ::std::vec::Vec::new(); #(#puts)* entry })))
}

/// Writes the function that starts a range of the index, and the type that takes one column after the other.
///
/// The type counts the columns that have a value. Each column has a method with its name and one for bounds, and only the type
/// at the right count has them, so the columns are given in their order and with their types.
fn range(view: &Ident, index: &Index, fields: &[&Field]) -> Result<TokenStream> {
    if index.columns.is_empty() {
        return Err(Error::new(index.name.span(), "an index must have at least one column"));
    }
    let (name, text) = (&index.name, index.name.to_string());
    let ty = format_ident!("{view}{}", pascal(&text), span = name.span());
    let mut steps = Vec::new();
    for (given, column) in index.columns.iter().enumerate() {
        let (column_name, put, next) = (&column.field, column.put(), given + 1);
        let field_type = &field(column, fields)?.ty;
        let (takes, value) = if is_string(field_type) {
            (quote!(impl ::core::convert::AsRef<str>), quote!(::core::convert::AsRef::<str>::as_ref(&value)))
        } else {
            let borrow = quote!(::core::borrow::Borrow<#field_type>);
            (quote!(impl #borrow), quote!(<_ as #borrow>::borrow(&value)))
        };
        let (column_in, descending) = (format_ident!("{column_name}_in"), column.descending);
        // Bounds of a text are of any type that is one, since those of `"a".."b"` are not of `String`.
        let (generics, bound, as_value) = if is_string(field_type) {
            let text = quote!(::core::convert::AsRef<str>);
            (quote!(<__Text: #text>), quote!(__Text), quote!(<__Text as #text>::as_ref))
        } else {
            (quote!(), quote!(#field_type), quote!(::core::convert::identity))
        };
        let doc = format!("Takes the entries whose column `{column_name}` has this value.");
        let doc_in = format!("Takes the entries whose column `{column_name}` has a value in these bounds.");
        steps.push(quote! {
            impl #ty<#given> {
                #[doc = #doc]
                #[allow(dead_code)]
                pub fn #column_name(self, value: #takes) -> #ty<#next> {
                    let mut prefix = self.prefix;
                    ::cqrs_core::IndexKey::#put(#value, &mut prefix);
                    #ty { prefix }
                }
                #[doc = #doc_in]
                #[allow(dead_code)]
                pub fn #column_in #generics(
                    self,
                    values: impl ::core::ops::RangeBounds<#bound>,
                ) -> ::cqrs_core::Range<#view> {
                    let bounds = (values.start_bound().map(#as_value), values.end_bound().map(#as_value));
                    ::cqrs_core::__private::range_of_values(#text, self.prefix, bounds, #descending)
                }
            }
        });
    }
    let columns = index.columns.iter().map(|column| format!("`{}`", column.field)).collect::<Vec<_>>().join(", ");
    let doc = format!(
        "Returns the range of all entries of the index `{text}`, for `Views::page`. Values for its leading columns \
         ({columns}) make it smaller."
    );
    // A column with this name has the step instead.
    let reversed = index.columns.iter().all(|column| column.field != "reversed").then(|| {
        quote! {
            impl<const GIVEN: usize> #ty<GIVEN> {
                #[doc = "Returns the same entries in the opposite order."]
                #[allow(dead_code)]
                pub fn reversed(self) -> ::cqrs_core::Range<#view> {
                    ::cqrs_core::Range::from(self).reversed()
                }
            }
        }
    });
    let type_doc = format!("A range of the index `{text}`, with values for its first `GIVEN` columns.");
    Ok(quote! {
        const _: () = {
            #[doc = #type_doc]
            #[derive(::core::fmt::Debug, ::core::clone::Clone)]
            pub struct #ty<const GIVEN: usize> {
                prefix: ::std::vec::Vec<u8>,
            }
            impl #view {
                #[doc = #doc]
                #[allow(dead_code)]
                pub fn #name() -> #ty<0> {
                    #ty { prefix: ::std::vec::Vec::new() }
                }
            }
            #(#steps)*
            #reversed
            impl<const GIVEN: usize> ::core::convert::From<#ty<GIVEN>> for ::cqrs_core::Range<#view> {
                fn from(range: #ty<GIVEN>) -> Self {
                    ::cqrs_core::__private::range(#text, range.prefix)
                }
            }
        };
    })
}

fn is_string(ty: &Type) -> bool {
    matches!(ty, Type::Path(path) if path.path.segments.last().is_some_and(|segment| segment.ident == "String"))
}
