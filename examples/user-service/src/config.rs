//! The program's settings with their defaults: those that every service has, and no others.
use clap::Parser;
use service_edge::settings::EdgeArgs;

/// The user service: user profiles and message tokens, over gRPC, on PostgreSQL and Kafka.
#[derive(Parser)]
#[command(name = "user-service", version, about)]
#[command(mut_arg("tls_callers", |callers| callers.default_value("gateway,counseling-service")))]
pub struct Args {
    #[command(flatten)]
    pub service: EdgeArgs,
}
