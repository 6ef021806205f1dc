//! A gRPC service behind the auth interceptor: the caller is verified, and compared with the callers that the contract
//! allows, before the request is decoded.
use crate::{AuthInterceptor, GATEWAY, Identity, Refused};
use contracts::v1::{access::Access, model::Authority};
use std::task::{Context, Poll};
use tonic::{
    codegen::{Service, http},
    server::NamedService,
    service::interceptor::InterceptedService,
};

/// A gRPC service that only the callers of the contract reach.
#[derive(Clone)]
pub struct Guarded<S>(InterceptedService<S, AuthInterceptor>);
impl<S> Guarded<S> {
    /// Puts a service behind the interceptor.
    pub fn new(service: S, interceptor: &AuthInterceptor) -> Self {
        Guarded(InterceptedService::new(service, interceptor.clone()))
    }
}
impl<S: NamedService> NamedService for Guarded<S> {
    const NAME: &'static str = S::NAME;
}
impl<S, B> Service<http::Request<B>> for Guarded<S>
where
    InterceptedService<S, AuthInterceptor>: Service<http::Request<B>>,
{
    type Response = <InterceptedService<S, AuthInterceptor> as Service<http::Request<B>>>::Response;
    type Error = <InterceptedService<S, AuthInterceptor> as Service<http::Request<B>>>::Error;
    type Future = <InterceptedService<S, AuthInterceptor> as Service<http::Request<B>>>::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.0.poll_ready(context)
    }
    fn call(&mut self, mut request: http::Request<B>) -> Self::Future {
        let called = Called(request.uri().clone());
        request.extensions_mut().insert(called);
        self.0.call(request)
    }
}

/// The called method, for the interceptor, which does not see the path.
#[derive(Debug, Clone)]
pub(crate) struct Called(http::Uri);
impl Called {
    pub(crate) fn path(&self) -> &str {
        self.0.path()
    }
}

/// Checks that the contract allows this caller. A method that the contract does not have needs an identity too.
pub(crate) fn allows(method: &str, Identity { caller, person }: &Identity) -> Result<(), Refused> {
    match (contracts::access_of(method), person) {
        (None | Some(Access::Public), _) => Ok(()),
        (Some(Access::Gateway), None) if **caller == *GATEWAY => Ok(()),
        (Some(Access::Person), Some(_)) => Ok(()),
        (Some(Access::Admin), Some(person)) if person.authority == Authority::Admin => Ok(()),
        (Some(Access::Person | Access::Admin), None) => Err(Refused::Missing),
        (Some(Access::Gateway | Access::Admin | Access::Unspecified), _) => Err(Refused::Forbidden),
    }
}
