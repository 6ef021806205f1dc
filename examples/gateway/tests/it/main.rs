//! The gateway's own router in front of services that say what a test wants them to say.
mod around; // what travels beside a request: positions, correlation, health
mod bad_input; // what is refused before any service hears of it
mod configuration; // flags and variables
mod errors; // the services' errors as HTTP
mod exchanges; // sending a message, opening a counsel
mod page; // the web page's files
mod services; // the stand-in
mod sessions; // tokens and cookies
mod shapes; // what the answers look like
mod world; // a gateway to send requests to
