//! A port of its own, for the deployed world.
use cqrs_core::Running;
use std::{future::Future, net::SocketAddr};
use tonic::{
    service::RoutesBuilder,
    transport::{Error, Server},
};

/// Serves until told to stop; what is being answered by then is answered.
pub async fn serve(app: Running, listen: SocketAddr, stop: impl Future<Output = ()>) -> Result<(), Error> {
    let mut routes = RoutesBuilder::default();
    crate::grpc(&app, &mut routes);
    Server::builder().add_routes(routes.routes()).serve_with_shutdown(listen, stop).await
}
