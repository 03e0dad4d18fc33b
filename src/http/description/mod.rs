//! The description of the API: OpenAPI 3.1, and 3.0.3 for generators that stop there.
//!
//! The server sends two files that are checked in, so a review sees each change of the API. They are made here, from the types
//! that the handlers serialize ([`answers`]), the fields that they read ([`requests`]), the table of error codes and the table of
//! operations ([`operations`]). `UPDATE=1 cargo test --lib description` writes them. The tests of the API check every answer
//! against them (`tests/api/harness/description.rs`), so what the server answers and what it describes are the same.

mod answers;
mod document;
mod errors;
mod older;
mod operation;
mod operations;
mod requests;
mod shapes;
mod tests;
