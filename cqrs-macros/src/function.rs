//! Checks that all attributes make on their function, and the code that takes its needs from the context.
use proc_macro2::TokenStream;
use quote::{format_ident, quote, quote_spanned};
use syn::{Error, FnArg, Ident, ItemFn, Result, ReturnType, Type, spanned::Spanned};

/// A function with an attribute. Its first parameter is the message, the others are its needs.
pub(crate) struct Function<'a> {
    pub(crate) ident: &'a Ident,
    pub(crate) message: &'a Type,
    pub(crate) needs: Vec<&'a Type>,
    pub(crate) returns: &'a Type,
}

impl<'a> Function<'a> {
    /// Checks the signature and splits it. `subject` begins the error messages, such as "a handler"; `takes` and
    /// `returns` describe the first parameter and the return type in them.
    pub(crate) fn parse(item: &'a ItemFn, subject: &str, takes: &str, returns: &str, is_async: bool) -> Result<Self> {
        let signature = &item.sig;
        match (is_async, &signature.asyncness) {
            (true, None) => {
                return Err(Error::new(signature.fn_token.span(), format!("{subject} must be an `async fn`")));
            }
            (false, Some(asyncness)) => {
                let message = format!("{subject} must be a plain `fn`, because it is a pure function");
                return Err(Error::new(asyncness.span(), message));
            }
            _ => (),
        }
        if !signature.generics.params.is_empty() {
            let message = format!("{subject} cannot be generic, because it is registered in a static");
            return Err(Error::new_spanned(&signature.generics, message));
        }
        let ReturnType::Type(_, returned) = &signature.output else {
            return Err(Error::new(signature.ident.span(), format!("{subject} must return `{returns}`")));
        };
        let mut types = Vec::new();
        for input in &signature.inputs {
            match input {
                FnArg::Typed(parameter) => types.push(&*parameter.ty),
                FnArg::Receiver(receiver) => {
                    let message = format!("{subject} must be a free function, not a method");
                    return Err(Error::new_spanned(receiver, message));
                }
            }
        }
        let Some((message, needs)) = types.split_first() else {
            let message = format!("the first parameter of {subject} must be {takes}");
            return Err(Error::new(signature.ident.span(), message));
        };
        Ok(Function { ident: &signature.ident, message, needs: needs.to_vec(), returns: returned })
    }

    /// Returns `need_0`, `need_1` and so on, one for each need.
    pub(crate) fn need_names(&self) -> Vec<Ident> {
        (0..self.needs.len()).map(|i| format_ident!("need_{i}")).collect()
    }
    /// Returns an expression of type `Result<(needs...), Rejection>`. A type error is reported at its parameter.
    pub(crate) fn take_needs(&self) -> TokenStream {
        let take = self
            .needs
            .iter()
            .map(|ty| quote_spanned!(ty.span()=> <#ty as ::cqrs_core::FromContext>::from_context(context)?));
        quote!((|| ::core::result::Result::Ok::<_, ::cqrs_core::Rejection>((#(#take,)*)))())
    }
    /// Returns a function that adds the needs to the list that is checked at start-up.
    pub(crate) fn declare_needs(&self) -> TokenStream {
        let declare =
            self.needs.iter().map(|ty| quote_spanned!(ty.span()=> <#ty as ::cqrs_core::FromContext>::needs(needs);));
        let unused = self.needs.is_empty().then(|| quote!(let _ = needs;));
        quote!(fn needs(needs: &mut ::cqrs_core::Needs) { #unused #(#declare)* })
    }
    pub(crate) fn name(&self) -> String {
        self.ident.to_string()
    }
}

/// Returns the static that registers the function, and its submission to `inventory`, through which the app finds it.
pub(crate) fn submit(registration: TokenStream) -> TokenStream {
    quote! {
        static REGISTRATION: ::cqrs_core::__private::Registration = #registration;
        ::cqrs_core::__private::inventory::submit! { ::cqrs_core::__private::Registered(&REGISTRATION) }
    }
}
