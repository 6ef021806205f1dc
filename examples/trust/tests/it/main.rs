//! Who is believed, who is not, and what is said then.
mod settings; // flags, variables and files
mod tokens; // what is signed, and what is forged
