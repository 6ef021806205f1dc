//! What a transport promises, as tests.
