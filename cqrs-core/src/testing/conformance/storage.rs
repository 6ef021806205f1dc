//! What a storage promises, as tests.
