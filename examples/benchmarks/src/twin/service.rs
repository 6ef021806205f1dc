//! The twin's service: gRPC in, PostgreSQL behind it.
use super::{counselors::Counselors, counsels::Counsels, internal::Checker, users::Users};
use anyhow::Result;
use clap::Parser;
use contracts::v1::service::{
    counsel_service_server::CounselServiceServer, counselor_service_server::CounselorServiceServer,
    user_service_server::UserServiceServer,
};
use sqlx::{PgPool, postgres::PgPoolOptions};
use std::net::SocketAddr;
use tokio::net::TcpListener;
use tonic::{
    Status,
    transport::{Server, server::TcpIncoming},
};

/// The same number of connections as the framework's storage has by default.
const CONNECTIONS: u32 = 10;

#[derive(Debug, Clone, Parser)]
pub(crate) struct Args {
    #[arg(long)]
    listen: SocketAddr,
    #[arg(long)]
    database: String,
    #[arg(long)]
    internal_secret: String,
}

pub(super) async fn run(args: Args) -> Result<()> {
    let pool = PgPoolOptions::new().max_connections(CONNECTIONS).test_before_acquire(false);
    let pool = pool.connect(&args.database).await?;
    create_tables(&pool).await?;
    let checker = Checker::new(&args.internal_secret);
    let incoming = TcpIncoming::from(TcpListener::bind(args.listen).await?).with_nodelay(Some(true));
    let server = Server::builder()
        .add_service(UserServiceServer::with_interceptor(Users(pool.clone()), checker.clone()))
        .add_service(CounselServiceServer::with_interceptor(Counsels(pool.clone()), checker.clone()))
        .add_service(CounselorServiceServer::with_interceptor(Counselors(pool), checker));
    Ok(server.serve_with_incoming(incoming).await?)
}

async fn create_tables(pool: &PgPool) -> Result<()> {
    let known: bool = sqlx::query_scalar("select to_regclass('outbox') is not null").fetch_one(pool).await?;
    if !known {
        sqlx::raw_sql(include_str!("tables.sql")).execute(pool).await?;
    }
    Ok(())
}

/// Maps a database error to a status.
pub(super) fn failed(error: sqlx::Error) -> Status {
    match &error {
        sqlx::Error::RowNotFound => Status::not_found("not found"),
        sqlx::Error::Database(refused) if refused.is_unique_violation() => Status::already_exists("already exists"),
        _ => Status::internal(error.to_string()),
    }
}
