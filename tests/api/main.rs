//! The API as a client sees it: through HTTP, a server and a temporary database each.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![expect(unreachable_pub, reason = "a test binary has no outside")]

mod access;
mod accounts;
mod ambiguity;
mod audit;
mod authority;
mod authz;
mod clock_leaps;
mod committed_changes;
mod email_changes;
mod environment_races;
mod environment_tokens;
mod environments;
mod harness;
mod hints;
mod introspection;
mod large_lists;
mod last_uses;
mod limits;
mod lineage;
mod outage;
mod policy_options;
mod protocol;
mod races;
mod rates;
mod refusals;
mod reuse;
mod revocation;
mod revoked_tokens;
mod rotation;
mod rotation_races;
mod seed;
mod sessions;
mod strictness;
#[path = "../support/mod.rs"]
mod support;
mod throttle;
mod token_expiry;
mod token_lists;
mod tokens;
mod unreliable_clock;
