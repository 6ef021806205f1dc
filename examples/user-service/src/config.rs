//! The program's settings with their defaults: those that every service has, and no others.
use clap::Parser;
use service_edge::settings;

/// The user service: user profiles and message tokens, over gRPC, on PostgreSQL and Kafka.
#[derive(Parser)]
#[command(name = "user-service", version, about)]
#[command(mut_arg("listen", |listen| listen.default_value("127.0.0.1:50051")))]
pub struct Args {
    #[command(flatten)]
    pub service: settings::Args,
}
