//! A command with a type parameter.
use cqrs_core::Command;
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, Command)]
struct Ping<T>(T);

fn main() {}
