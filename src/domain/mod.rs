//! The plain types of the product: no I/O, no clock, no HTTP, no SQL.
//!
//! Each type has one door, a `parse` (for what people send) or a constructor (for what the program makes), so that a
//! value that exists is a value that holds. `now` is always an argument.

pub mod ability;
pub mod account;
pub mod attempts;
pub mod audit;
pub mod environment;
pub mod id;
pub mod last_use;
pub mod page;
pub mod path;
pub mod policy;
pub mod policy_options;
pub mod secret;
pub mod session;
pub mod text;
pub mod time;
pub mod token;
pub mod usage_limits;
pub mod use_location;
