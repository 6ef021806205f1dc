//! The domain rules: without async, I/O or a clock. Every error here is a domain rule.
pub mod consent;
pub mod counsel;
pub mod counselor;
pub mod crisis;
pub mod episode;
pub mod image;
pub mod korean;
pub mod manner;
pub mod model_budget;
pub mod prompt;
pub mod relationship;
mod text;
