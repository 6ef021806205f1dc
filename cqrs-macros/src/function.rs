//! What every attribute checks of its function, and the code that takes its needs.
use proc_macro2::TokenStream;
use quote::{format_ident, quote, quote_spanned};
use syn::{Error, FnArg, Ident, ItemFn, Result, ReturnType, Type, spanned::Spanned};

/// A function that an attribute stands on: the message first, then what it needs.
pub(crate) struct Function<'a> {
    pub(crate) ident: &'a Ident,
    pub(crate) message: &'a Type,
    pub(crate) needs: Vec<&'a Type>,
    pub(crate) returns: &'a Type,
}

impl<'a> Function<'a> {
    /// `what` is the sentence's subject: "a handler".
    pub(crate) fn of(item: &'a ItemFn, what: &str, takes: &str, returns: &str, is_async: bool) -> Result<Self> {
        let signature = &item.sig;
        match (is_async, &signature.asyncness) {
            (true, None) => return Err(Error::new(signature.fn_token.span(), format!("{what} is an `async fn`"))),
            (false, Some(it)) => {
                return Err(Error::new(it.span(), format!("{what} is a plain `fn`: it decides, it does not wait")));
            }
            _ => (),
        }
        if !signature.generics.params.is_empty() {
            let say = format!("{what} cannot be generic: its message names its types");
            return Err(Error::new_spanned(&signature.generics, say));
        }
        let ReturnType::Type(_, returned) = &signature.output else {
            return Err(Error::new(signature.ident.span(), format!("{what} returns `{returns}`")));
        };
        let mut types = Vec::new();
        for input in &signature.inputs {
            match input {
                FnArg::Typed(it) => types.push(&*it.ty),
                FnArg::Receiver(it) => {
                    return Err(Error::new_spanned(it, format!("{what} is a free function, not a method")));
                }
            }
        }
        let Some((message, needs)) = types.split_first() else {
            return Err(Error::new(signature.ident.span(), format!("{what} takes {takes} first")));
        };
        Ok(Function { ident: &signature.ident, message, needs: needs.to_vec(), returns: returned })
    }

    /// `need_0`, `need_1`, ...
    pub(crate) fn names(&self) -> Vec<Ident> {
        (0..self.needs.len()).map(|i| format_ident!("need_{i}")).collect()
    }
    /// A `Result` of the tuple of needs, each error at its own parameter.
    pub(crate) fn take(&self) -> TokenStream {
        let take = self
            .needs
            .iter()
            .map(|ty| quote_spanned!(ty.span()=> <#ty as ::cqrs_core::FromContext>::from_context(context)?));
        quote!((|| ::core::result::Result::Ok::<_, ::cqrs_core::Missing>((#(#take,)*)))())
    }
    /// The function that says what is needed.
    pub(crate) fn needs(&self) -> TokenStream {
        let tell =
            self.needs.iter().map(|ty| quote_spanned!(ty.span()=> <#ty as ::cqrs_core::FromContext>::needs(needs);));
        let unused = self.needs.is_empty().then(|| quote!(let _ = needs;));
        quote!(fn needs(needs: &mut ::cqrs_core::Needs) { #unused #(#tell)* })
    }
    pub(crate) fn text(&self) -> String {
        self.ident.to_string()
    }
}

/// The static that tells the app of the function.
pub(crate) fn submit(registration: TokenStream) -> TokenStream {
    quote! {
        static REGISTRATION: ::cqrs_core::__private::Registration = #registration;
        ::cqrs_core::__private::inventory::submit! { ::cqrs_core::__private::Registered(&REGISTRATION) }
    }
}
