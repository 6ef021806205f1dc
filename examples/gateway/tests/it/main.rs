//! Tests of the gateway's router with scripted services.
mod admin; // the administrators' endpoints
mod bad_input; // requests that are refused before any service is called
mod bytes; // the bytes of every response
mod configuration; // flags and variables
mod contract; // the table of the whole contract
mod description; // every answer against the OpenAPI description
mod edge; // writes of other sites, CORS, limits, and the headers of every response
mod errors; // the services' errors as HTTP
mod events; // the messages of a counsel as they come
mod exchanges; // sending a message, opening a counsel
mod fixture; // the gateway and its responses
mod images; // uploads and their delivery
mod languages; // errors in Korean and English
mod logging; // secrets and texts that the log must not contain
mod login; // Kakao, Naver and the admin link
mod metadata; // consistency tokens, correlation, signatures and health
mod page; // the web page's files
mod provider; // the login providers, and a browser on their pages
mod requests; // one request for each endpoint
mod services; // the scripted services
mod sessions; // tokens and cookies
mod shapes; // the JSON of responses
