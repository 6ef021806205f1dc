//! Config: to come.
