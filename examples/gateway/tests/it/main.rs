//! Tests of the gateway's router with scripted services.
mod admin; // the administrators' endpoints
mod bad_input; // requests that are refused before any service is called
mod bytes; // the bytes of every response
mod configuration; // flags and variables
mod description; // every answer against the OpenAPI description
mod errors; // the services' errors as HTTP
mod exchanges; // sending a message, opening a counsel
mod fixture; // the gateway and its responses
mod metadata; // consistency tokens, correlation, signatures and health
mod page; // the web page's files
mod requests; // one request for each endpoint
mod services; // the scripted services
mod sessions; // tokens and cookies
mod shapes; // the JSON of responses
