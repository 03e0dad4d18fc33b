//! The plain types of the product: no I/O, no clock, no HTTP, no SQL.
//!
//! Each type is made by one function: `parse` for input, or a constructor for what the program makes. So a value that
//! exists is valid. `now` is always an argument.

pub mod ability;
pub mod account;
pub mod account_state;
pub mod annotations;
pub mod attempts;
pub mod audit;
pub mod authority;
pub mod deletion;
pub mod environment;
pub mod event_filter;
pub mod events;
pub mod export;
pub mod finding;
pub mod id;
pub mod keyed_request;
pub mod last_use;
pub mod node;
pub mod owner;
pub mod page;
pub mod password_link;
pub mod path;
pub mod policy;
pub mod policy_options;
pub mod replay;
pub mod rotation;
pub mod seal;
pub mod secret;
pub mod session;
pub mod text;
pub mod time;
pub mod token;
pub mod token_counts;
pub mod token_report;
pub mod token_usage;
pub mod usage_limits;
pub mod use_counts;
pub mod use_location;
