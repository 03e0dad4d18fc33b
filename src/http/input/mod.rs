//! What handlers take from a request: the principal, the client's address, the body, the query.

pub(crate) mod authorization_header;
pub(crate) mod body;
pub(crate) mod client;
pub(crate) mod form;
pub(crate) mod guard;
pub(crate) mod keyed;
pub(crate) mod page;
pub(crate) mod query_pairs;
pub(crate) mod query_parameters;
pub(crate) mod request_source;
mod strict_json;
