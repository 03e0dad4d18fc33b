//! The settings, merged from `config.toml`, a file, the environment and flags into one [`Config`].
//!
//! `settings` has the types, `load` merges the sources with the help of `layers`, `values` parses each kind of value,
//! `policies` parses the policies, `seed` the file of `patd dev --seed`, `checks` has the allowed ranges, `reload` says what a running server takes over, and
//! `error` has the messages. This module does not look
//! for a file: the command line does that.

mod checks;
mod error;
mod file;
mod layers;
mod load;
mod policies;
mod reader;
mod reload;
mod seed;
mod settings;
mod spelling;
mod values;

pub use self::{
    error::{ConfigError, ConfigErrors, SettingSource},
    load::Sources,
    reload::Reloaded,
    seed::{Place, Seed, SeedEnvironment, SeedExpiry, SeedServiceAccount, SeedToken, SeedUser, TokenOwner},
    settings::{
        Accounts, Audit, Cache, Config, Console, Cors, Database, Log, Passwords, Rotation, Server, Sessions, Throttle,
        Tokens, Usage,
    },
    values::{DatabaseUrl, LogFormat, LoggedChecks, OnReuse, Origin},
};

#[cfg(test)]
mod tests;
