//! The settings: from the repository's `config.toml`, a file, the environment and flags to one resolved [`Config`].
//!
//! This module owns the shape of the settings and their types; `layers` says which source wins, `values` how a value is
//! written, `checks` in which range it must lie, `error` how a refusal reads. It stops at the values: opening the
//! database or binding the address is others' work, and so is finding the file (`PATD_CONFIG`).

mod checks;
mod error;
mod layers;
mod policies;
mod values;

use std::{
    env,
    ffi::OsString,
    net::SocketAddr,
    num::{NonZeroU32, NonZeroUsize},
    path::PathBuf,
    thread,
    time::Duration,
};

use serde::Deserialize;

use self::layers::{Layers, VARIABLE_PREFIX};
pub use self::{
    error::{ConfigError, Mistakes, SettingSource},
    values::{LogFormat, LoggedChecks, OnReuse},
};
use crate::domain::{
    ability::Ability,
    policy::Policy,
    secret::{ParsePrefixesError, Prefixes},
};

const DEFAULTS: &str = include_str!("../../config.toml");

/// Every setting, resolved: no zero that stands for another number, every value in its range.
///
/// Its default values and the meaning of each key stand in `config.toml`, which is compiled in.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where and how requests are taken.
    pub server: Server,
    /// The SQLite file and the way to it.
    pub database: Database,
    /// What is kept in memory.
    pub cache: Cache,
    /// Who may make an account.
    pub accounts: Accounts,
    /// What a password must be and how it is hashed.
    pub passwords: Passwords,
    /// Sign-ins.
    pub sessions: Sessions,
    /// Personal access tokens and those of environments.
    pub tokens: Tokens,
    /// How a token is replaced by a successor.
    pub rotation: Rotation,
    /// The audit trail.
    pub audit: Audit,
    /// How often somebody may try.
    pub throttle: Throttle,
    /// What is logged, and how.
    pub log: Log,
    /// The rules by which proxies' questions are answered.
    #[serde(skip)]
    pub policies: Vec<Policy>,
}

/// The section `[server]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Server {
    /// Where to listen; port 0 takes any free one.
    #[serde(deserialize_with = "values::address")]
    pub bind: SocketAddr,
    /// Threads that answer requests.
    #[serde(deserialize_with = "values::count")]
    pub workers: usize,
    /// From where `X-Forwarded-For` is believed.
    #[serde(deserialize_with = "values::networks")]
    pub trusted_proxies: Vec<ipnet::IpNet>,
    /// Connections at once, over all workers.
    #[serde(deserialize_with = "values::count")]
    pub max_connections: usize,
    /// How long an idle connection stays open.
    #[serde(deserialize_with = "values::duration")]
    pub keep_alive: Duration,
    /// How long a request's head may take.
    #[serde(deserialize_with = "values::duration")]
    pub head_timeout: Duration,
    /// The largest head, in bytes.
    #[serde(deserialize_with = "values::size")]
    pub head_limit: usize,
    /// How long a client may take to read what fills the buffers between it and the server.
    #[serde(deserialize_with = "values::duration")]
    pub write_timeout: Duration,
    /// How long a request's body may take.
    #[serde(deserialize_with = "values::duration")]
    pub body_timeout: Duration,
    /// The largest body, in bytes.
    #[serde(deserialize_with = "values::size")]
    pub body_limit: usize,
    /// How long an answer may take; longer than `body_timeout`.
    #[serde(deserialize_with = "values::duration")]
    pub request_deadline: Duration,
    /// How long requests are still taken after SIGTERM; may be zero.
    #[serde(deserialize_with = "values::duration")]
    pub drain_delay: Duration,
    /// How long requests under way may then take to end.
    #[serde(deserialize_with = "values::duration")]
    pub drain_timeout: Duration,
}

/// The section `[database]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Database {
    /// The SQLite file.
    #[serde(deserialize_with = "values::path")]
    pub path: PathBuf,
    /// Read-only connections.
    #[serde(deserialize_with = "values::count")]
    pub readers: u32,
    /// How long a request waits for one of them.
    #[serde(deserialize_with = "values::duration")]
    pub pool_timeout: Duration,
    /// How long a write waits for another process; at most an hour.
    #[serde(deserialize_with = "values::duration")]
    pub busy_timeout: Duration,
    /// Writes that may wait for the disk.
    #[serde(deserialize_with = "values::count")]
    pub write_queue: usize,
}

/// The section `[cache]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cache {
    /// The most tokens; zero is no cache at all.
    #[serde(deserialize_with = "values::count")]
    pub tokens: usize,
    /// The most sessions.
    #[serde(deserialize_with = "values::count")]
    pub sessions: usize,
    /// The most secrets that are known to be nobody's, of tokens and of sessions each.
    #[serde(deserialize_with = "values::count")]
    pub unknown: usize,
}

/// The section `[accounts]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Accounts {
    /// Whether anybody may make an account over the API.
    #[serde(deserialize_with = "values::switch")]
    pub registration: bool,
    /// Whether a person may change the address of their own account over the API.
    #[serde(deserialize_with = "values::switch")]
    pub email_change: bool,
}

/// The section `[passwords]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Passwords {
    /// The fewest characters of a new password.
    #[serde(deserialize_with = "values::count")]
    pub min_length: usize,
    /// argon2id's memory for one hash, in KiB.
    #[serde(deserialize_with = "values::count")]
    pub memory_kib: u32,
    /// argon2id's passes.
    #[serde(deserialize_with = "values::count")]
    pub iterations: u32,
    /// argon2id's lanes.
    #[serde(deserialize_with = "values::count")]
    pub lanes: u32,
    /// Hashes computed at once.
    #[serde(deserialize_with = "values::count")]
    pub concurrent_hashes: usize,
    /// How long a request waits to be one of them.
    #[serde(deserialize_with = "values::duration")]
    pub max_wait: Duration,
}

/// The section `[sessions]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sessions {
    /// How a session token begins ([`Config::prefixes`]).
    #[serde(deserialize_with = "values::text")]
    pub prefix: String,
    /// How long a session lasts, in whole seconds.
    #[serde(deserialize_with = "values::duration")]
    pub lifetime: Duration,
    /// How long an unused session lasts, in whole seconds; at most `lifetime`.
    #[serde(deserialize_with = "values::duration")]
    pub idle_lifetime: Duration,
}

/// The section `[tokens]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tokens {
    /// How a personal access token begins ([`Config::prefixes`]).
    #[serde(deserialize_with = "values::text")]
    pub pat_prefix: String,
    /// How an environment token begins ([`Config::prefixes`]).
    #[serde(deserialize_with = "values::text")]
    pub environment_prefix: String,
    /// The most live tokens of one user, and of one environment.
    #[serde(deserialize_with = "values::count")]
    pub max_per_user: u32,
    /// The abilities that may be granted beside the server's own powers; empty is any. None is reserved.
    #[serde(deserialize_with = "values::abilities")]
    pub abilities: Vec<Ability>,
    /// Whether the maker of a token must say what it may do.
    #[serde(deserialize_with = "values::switch")]
    pub require_abilities: bool,
    /// How long a token lasts where its maker does not say, in whole seconds; `None` is for ever.
    #[serde(deserialize_with = "values::duration_or_never")]
    pub default_lifetime: Option<Duration>,
    /// The longest lifetime that can be asked for, in whole seconds; `None` is any.
    #[serde(deserialize_with = "values::duration_or_never")]
    pub max_lifetime: Option<Duration>,
    /// Whether a token may be made that never ends; one of the two above is set where not.
    #[serde(deserialize_with = "values::switch")]
    pub allow_endless: bool,
    /// How long a token lasts without being used, in whole seconds; `None` is for ever.
    #[serde(deserialize_with = "values::duration_or_never")]
    pub idle_lifetime: Option<Duration>,
    /// How long a token is kept after its end, in whole seconds; `None` is for good.
    #[serde(deserialize_with = "values::duration_or_never")]
    pub prune_after: Option<Duration>,
}

/// The section `[rotation]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rotation {
    /// How long the old secret goes on where the request does not say, in whole seconds; may be zero.
    #[serde(deserialize_with = "values::duration")]
    pub grace: Duration,
    /// The longest that can be asked for, in whole seconds; at least `grace`, at most a week.
    #[serde(deserialize_with = "values::duration")]
    pub max_grace: Duration,
    /// Whether the first use of the new secret ends the old one, where the request does not say.
    #[serde(deserialize_with = "values::switch")]
    pub end_on_first_use: bool,
    /// What happens when a secret is presented that rotation has ended.
    #[serde(deserialize_with = "values::on_reuse")]
    pub on_reuse: OnReuse,
}

/// The section `[audit]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Audit {
    /// How long an event is kept, in whole seconds; `None` is for good.
    #[serde(deserialize_with = "values::duration_or_never")]
    pub prune_after: Option<Duration>,
}

/// The section `[throttle]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Throttle {
    /// Failed attempts at once for one e-mail address from one client address, and of one session.
    #[serde(deserialize_with = "values::positive")]
    pub per_email_burst: NonZeroU32,
    /// Further ones a minute.
    #[serde(deserialize_with = "values::positive")]
    pub per_email_per_minute: NonZeroU32,
    /// Failed attempts at once for one e-mail address from everywhere, and of all sessions of a user.
    #[serde(deserialize_with = "values::positive")]
    pub per_account_burst: NonZeroU32,
    /// Further ones a minute.
    #[serde(deserialize_with = "values::positive")]
    pub per_account_per_minute: NonZeroU32,
    /// Attempts at once that succeed, of one account.
    #[serde(deserialize_with = "values::positive")]
    pub successes_per_account_burst: NonZeroU32,
    /// Further ones a minute.
    #[serde(deserialize_with = "values::positive")]
    pub successes_per_account_per_minute: NonZeroU32,
    /// Failed attempts at once from one client address.
    #[serde(deserialize_with = "values::positive")]
    pub per_address_burst: NonZeroU32,
    /// Further attempts a minute from one client address.
    #[serde(deserialize_with = "values::positive")]
    pub per_address_per_minute: NonZeroU32,
    /// Reports of leaked secrets at once from one client address.
    #[serde(deserialize_with = "values::positive")]
    pub reports_per_address_burst: NonZeroU32,
    /// Further reports a minute from one client address.
    #[serde(deserialize_with = "values::positive")]
    pub reports_per_address_per_minute: NonZeroU32,
    /// Reports of leaked secrets at once from everywhere.
    #[serde(deserialize_with = "values::positive")]
    pub reports_burst: NonZeroU32,
    /// Further reports a minute from everywhere.
    #[serde(deserialize_with = "values::positive")]
    pub reports_per_minute: NonZeroU32,
    /// Rotations at once by the tokens of one family.
    #[serde(deserialize_with = "values::positive")]
    pub rotations_per_family_burst: NonZeroU32,
    /// Further rotations a minute by the tokens of one family.
    #[serde(deserialize_with = "values::positive")]
    pub rotations_per_family_per_minute: NonZeroU32,
}

/// The section `[log]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Log {
    /// The least severe level that is logged; never `Off`.
    #[serde(deserialize_with = "values::level")]
    pub level: log::LevelFilter,
    /// How a line looks.
    #[serde(deserialize_with = "values::format")]
    pub format: LogFormat,
    /// Which of the proxies' questions are logged.
    #[serde(deserialize_with = "values::checks")]
    pub checks: LoggedChecks,
}

/// Where settings come from, weakest first. [`Sources::default`] has the defaults alone.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// The configuration file. If it is named, it must exist.
    pub file: Option<PathBuf>,
    /// Environment variables by name; those that do not begin with `PATD__` are passed over.
    pub environment: Vec<(String, String)>,
    /// Values from the command line by key, for example `("server.bind", …)`, written as in the environment.
    pub flags: Vec<(&'static str, String)>,
}

impl Sources {
    /// Takes the `PATD__` variables of this process, beside `file` and no flags.
    ///
    /// Refuses a value that is not UTF-8.
    pub fn from_process(file: Option<PathBuf>) -> Result<Self, ConfigError> {
        Ok(Self { file, environment: own_variables(env::vars_os())?, flags: Vec::new() })
    }
}

impl Config {
    /// Merges the sources over the defaults and resolves the whole; flags win over the environment, it over the file.
    pub fn load(sources: Sources) -> Result<Self, Mistakes> {
        let mut layers = Layers::over(DEFAULTS)?;
        if let Some(path) = &sources.file {
            layers.add_file(path)?;
        }
        layers.add_environment(&sources.environment);
        layers.add_flags(&sources.flags);
        let mut config: Self = layers.deserialize()?;
        checks::check(&config, &mut layers);
        config.policies = layers.finish()?;
        config.derive_from_cores(thread::available_parallelism().map_or(1, NonZeroUsize::get));
        Ok(config)
    }

    /// The prefixes by which credentials are told apart.
    ///
    /// # Panics
    ///
    /// Where the prefixes of a loaded config were changed to such as [`Config::load`] refuses.
    pub fn prefixes(&self) -> Prefixes {
        self.try_prefixes().expect("the prefixes were checked when the config was loaded")
    }

    fn try_prefixes(&self) -> Result<Prefixes, ParsePrefixesError> {
        Prefixes::new(&self.sessions.prefix, &self.tokens.pat_prefix, &self.tokens.environment_prefix)
    }

    fn derive_from_cores(&mut self, cores: usize) {
        let or = |value: usize, derived| if value == 0 { derived } else { value };
        self.server.workers = or(self.server.workers, cores);
        self.passwords.concurrent_hashes = or(self.passwords.concurrent_hashes, cores);
        if self.database.readers == 0 {
            self.database.readers = u32::try_from(cores * 2 + 2).unwrap_or(u32::MAX);
        }
    }
}

fn own_variables(all: impl Iterator<Item = (OsString, OsString)>) -> Result<Vec<(String, String)>, ConfigError> {
    all.map(|(name, value)| (name.to_string_lossy().into_owned(), value))
        .filter(|(name, _)| name.starts_with(VARIABLE_PREFIX))
        .map(|(variable, value)| match value.into_string() {
            Ok(value) => Ok((variable, value)),
            Err(_) => Err(ConfigError::NotUnicode { variable }),
        })
        .collect()
}

#[cfg(test)]
mod tests;
