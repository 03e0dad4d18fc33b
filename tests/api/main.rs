//! Tests of the API through HTTP. Each has its own server and database.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![expect(unreachable_pub, reason = "a test binary has no outside")]

mod access;
mod accounts;
mod admin_access;
mod admin_throttle;
mod admin_users;
mod ambiguity;
mod annotations;
mod audit;
mod authority;
mod authz;
mod canary;
mod clock_jumps;
mod committed_changes;
mod deletion;
mod demotion;
mod email_changes;
mod environment_races;
mod environment_token_lists;
mod environment_tokens;
mod environments;
mod first_token;
mod harness;
mod introspection;
mod large_lists;
mod last_uses;
mod lineage;
mod narrower_rotation;
mod outage;
mod policy_options;
mod protocol;
mod races;
mod rate_limits;
mod refusals;
mod remedies;
mod reuse;
mod revocation;
mod revoked_tokens;
mod rotation;
mod rotation_races;
mod sessions;
#[path = "../support/mod.rs"]
mod support;
mod throttle;
mod token_creation;
mod token_expiry;
mod token_lists;
mod token_reports;
mod token_usage;
mod tokens;
mod unknown_parameters;
mod unreliable_clock;
mod usage_counts;
mod usage_limits;
