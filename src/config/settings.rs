//! The settings as types: one struct for each section of `config.toml`, one field for each key.

use std::{net::SocketAddr, num::NonZeroU32, path::PathBuf, time::Duration};

use serde::Deserialize;

use super::values::{self, DatabaseUrl, LogFormat, LoggedChecks, OnReuse, Origin};
use crate::domain::{
    ability::Ability,
    policy::Policy,
    secret::{ParsePrefixesError, Prefixes},
};

/// Every setting, resolved: each value is in its range, and no 0 stands for "as many as fit this machine".
///
/// `config.toml`, which is compiled in, has the default and the full description of each key.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// How the server accepts requests.
    pub server: Server,
    /// Where the data are, and the connections to it.
    pub database: Database,
    /// How much is cached in memory.
    pub cache: Cache,
    /// Registration and changes of the e-mail address.
    pub accounts: Accounts,
    /// The rules for passwords, and how they are hashed.
    pub passwords: Passwords,
    /// Sessions.
    pub sessions: Sessions,
    /// Personal access tokens and environment tokens.
    pub tokens: Tokens,
    /// Rotation of tokens.
    pub rotation: Rotation,
    /// The audit trail.
    pub audit: Audit,
    /// Counts of what tokens do.
    pub usage: Usage,
    /// Limits on attempts.
    pub throttle: Throttle,
    /// Which pages of other origins may use the API.
    pub cors: Cors,
    /// What is logged, and in which format.
    pub log: Log,
    /// Metrics.
    pub metrics: Metrics,
    /// The pages for people.
    pub console: Console,
    /// The rules that answer the checks of proxies.
    #[serde(skip)]
    pub policies: Vec<Policy>,
}

/// The section `[server]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Server {
    /// The address to listen on. With port 0, the system picks a free port.
    #[serde(deserialize_with = "values::address")]
    pub bind: SocketAddr,
    /// Threads that answer requests.
    #[serde(deserialize_with = "values::count")]
    pub workers: usize,
    /// The networks of the trusted proxies.
    #[serde(deserialize_with = "values::networks")]
    pub trusted_proxies: Vec<ipnet::IpNet>,
    /// The most connections at the same time, over all workers.
    #[serde(deserialize_with = "values::count")]
    pub max_connections: usize,
    /// How long an idle connection stays open.
    #[serde(deserialize_with = "values::duration")]
    pub keep_alive: Duration,
    /// How long a client may take to send the head of a request.
    #[serde(deserialize_with = "values::duration")]
    pub head_timeout: Duration,
    /// The largest head, in bytes.
    #[serde(deserialize_with = "values::size")]
    pub head_limit: usize,
    /// How long a client may take to read what fills the buffers between it and the server.
    #[serde(deserialize_with = "values::duration")]
    pub write_timeout: Duration,
    /// How long a client may take to send the body of a request.
    #[serde(deserialize_with = "values::duration")]
    pub body_timeout: Duration,
    /// The largest body, in bytes.
    #[serde(deserialize_with = "values::size")]
    pub body_limit: usize,
    /// How long the server may take to answer. Longer than `body_timeout`.
    #[serde(deserialize_with = "values::duration")]
    pub request_deadline: Duration,
    /// How long the server accepts requests after SIGTERM. May be zero.
    #[serde(deserialize_with = "values::duration")]
    pub drain_delay: Duration,
    /// How long the requests that are then in progress may take.
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
    /// The address of a database in PostgreSQL, instead of the file.
    #[serde(deserialize_with = "values::database_url")]
    pub url: Option<DatabaseUrl>,
    /// The certificates that the one of PostgreSQL must be signed by, unless those of the system are meant.
    #[serde(deserialize_with = "values::optional_path")]
    pub ca_file: Option<PathBuf>,
    /// Read-only connections.
    #[serde(deserialize_with = "values::count")]
    pub readers: u32,
    /// How long a request waits for a free one.
    #[serde(deserialize_with = "values::duration")]
    pub pool_timeout: Duration,
    /// How long a write waits for another process. At most an hour.
    #[serde(deserialize_with = "values::duration")]
    pub busy_timeout: Duration,
    /// How many writes may wait for the disk.
    #[serde(deserialize_with = "values::count")]
    pub write_queue: usize,
}

/// The section `[cache]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cache {
    /// The most cached tokens. 0 means no cache, not even for sessions.
    #[serde(deserialize_with = "values::count")]
    pub tokens: usize,
    /// The most cached sessions.
    #[serde(deserialize_with = "values::count")]
    pub sessions: usize,
    /// How many unknown secrets are remembered, for tokens and for sessions each.
    #[serde(deserialize_with = "values::count")]
    pub unknown: usize,
}

/// The section `[accounts]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Accounts {
    /// Whether people may register over the API.
    #[serde(deserialize_with = "values::switch")]
    pub registration: bool,
    /// Whether users may change their own e-mail address over the API.
    #[serde(deserialize_with = "values::switch")]
    pub email_change: bool,
    /// How long a link lasts with which a user sets a password.
    #[serde(deserialize_with = "values::duration")]
    pub invitation_lifetime: Duration,
}

/// The section `[passwords]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Passwords {
    /// The minimum length of a new password, in characters.
    #[serde(deserialize_with = "values::count")]
    pub min_length: usize,
    /// The memory of argon2id for one hash, in KiB.
    #[serde(deserialize_with = "values::count")]
    pub memory_kib: u32,
    /// The passes of argon2id.
    #[serde(deserialize_with = "values::count")]
    pub iterations: u32,
    /// The lanes of argon2id.
    #[serde(deserialize_with = "values::count")]
    pub lanes: u32,
    /// How many hashes are computed at the same time.
    #[serde(deserialize_with = "values::count")]
    pub concurrent_hashes: usize,
    /// How long a request waits for one of these slots.
    #[serde(deserialize_with = "values::duration")]
    pub max_wait: Duration,
}

/// The section `[sessions]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sessions {
    /// The prefix of session tokens ([`Config::prefixes`]).
    #[serde(deserialize_with = "values::text")]
    pub prefix: String,
    /// How long a session lasts, in whole seconds.
    #[serde(deserialize_with = "values::duration")]
    pub lifetime: Duration,
    /// How long a session lasts without use, in whole seconds. At most `lifetime`.
    #[serde(deserialize_with = "values::duration")]
    pub idle_lifetime: Duration,
}

/// The section `[tokens]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tokens {
    /// The prefix of personal access tokens ([`Config::prefixes`]).
    #[serde(deserialize_with = "values::text")]
    pub pat_prefix: String,
    /// The prefix of environment tokens ([`Config::prefixes`]).
    #[serde(deserialize_with = "values::text")]
    pub environment_prefix: String,
    /// The most active tokens of one user, and of one environment.
    #[serde(deserialize_with = "values::count")]
    pub max_per_user: u32,
    /// The abilities that may be granted besides the server abilities. Empty means any. None is reserved.
    #[serde(deserialize_with = "values::abilities")]
    pub abilities: Vec<Ability>,
    /// Whether a request for a new token must name its abilities.
    #[serde(deserialize_with = "values::switch")]
    pub require_abilities: bool,
    /// The lifetime of a token if the request names none, in whole seconds. `None` means unlimited.
    #[serde(deserialize_with = "values::duration_or_never")]
    pub default_lifetime: Option<Duration>,
    /// The longest lifetime that a request may name, in whole seconds. `None` means unlimited.
    #[serde(deserialize_with = "values::duration_or_never")]
    pub max_lifetime: Option<Duration>,
    /// Whether a token may have no expiry. If not, `default_lifetime` or `max_lifetime` is set.
    #[serde(deserialize_with = "values::switch")]
    pub allow_endless: bool,
    /// How long a token lasts without use, in whole seconds. `None` means unlimited.
    #[serde(deserialize_with = "values::duration_or_never")]
    pub idle_lifetime: Option<Duration>,
    /// How long a token is kept after its end, in whole seconds. `None` means forever.
    #[serde(deserialize_with = "values::duration_or_never")]
    pub prune_after: Option<Duration>,
}

/// The section `[rotation]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rotation {
    /// The grace if the request names none, in whole seconds. May be zero.
    #[serde(deserialize_with = "values::duration")]
    pub grace: Duration,
    /// The longest grace that a request may name, in whole seconds. At least `grace`, at most a week.
    #[serde(deserialize_with = "values::duration")]
    pub max_grace: Duration,
    /// Whether the first use of the successor ends the predecessor, if the request does not say.
    #[serde(deserialize_with = "values::switch")]
    pub end_on_first_use: bool,
    /// What the server does on reuse of a secret.
    #[serde(deserialize_with = "values::on_reuse")]
    pub on_reuse: OnReuse,
}

/// The section `[audit]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Audit {
    /// How long an event is kept, in whole seconds. `None` means forever.
    #[serde(deserialize_with = "values::duration_or_never")]
    pub prune_after: Option<Duration>,
}

/// The section `[usage]`.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Usage {
    /// Whether uses are counted.
    #[serde(deserialize_with = "values::switch")]
    pub enabled: bool,
    /// How many days are kept.
    #[serde(deserialize_with = "values::count")]
    pub keep_days: u32,
    /// How many abilities of a token are counted by name.
    #[serde(deserialize_with = "values::count")]
    pub max_abilities: u32,
}

/// The section `[throttle]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Throttle {
    /// Failed attempts at once for one account from one network, or by one session.
    #[serde(deserialize_with = "values::positive")]
    pub per_email_burst: NonZeroU32,
    /// Further attempts a minute.
    #[serde(deserialize_with = "values::positive")]
    pub per_email_per_minute: NonZeroU32,
    /// Failed attempts at once for one account from all networks together, or by all sessions of a user.
    #[serde(deserialize_with = "values::positive")]
    pub per_account_burst: NonZeroU32,
    /// Further attempts a minute.
    #[serde(deserialize_with = "values::positive")]
    pub per_account_per_minute: NonZeroU32,
    /// Successful attempts at once for one account.
    #[serde(deserialize_with = "values::positive")]
    pub successes_per_account_burst: NonZeroU32,
    /// Further attempts a minute.
    #[serde(deserialize_with = "values::positive")]
    pub successes_per_account_per_minute: NonZeroU32,
    /// Failed attempts at once from one network.
    #[serde(deserialize_with = "values::positive")]
    pub per_address_burst: NonZeroU32,
    /// Further attempts a minute.
    #[serde(deserialize_with = "values::positive")]
    pub per_address_per_minute: NonZeroU32,
    /// Leak reports at once from one network.
    #[serde(deserialize_with = "values::positive")]
    pub reports_per_address_burst: NonZeroU32,
    /// Further attempts a minute.
    #[serde(deserialize_with = "values::positive")]
    pub reports_per_address_per_minute: NonZeroU32,
    /// Leak reports at once from all networks together.
    #[serde(deserialize_with = "values::positive")]
    pub reports_burst: NonZeroU32,
    /// Further attempts a minute.
    #[serde(deserialize_with = "values::positive")]
    pub reports_per_minute: NonZeroU32,
    /// Self-rotations at once by the tokens of one family.
    #[serde(deserialize_with = "values::positive")]
    pub rotations_per_family_burst: NonZeroU32,
    /// Further attempts a minute.
    #[serde(deserialize_with = "values::positive")]
    pub rotations_per_family_per_minute: NonZeroU32,
}

/// The section `[log]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Log {
    /// The least severe level that is logged. Never `Off`.
    #[serde(deserialize_with = "values::level")]
    pub level: log::LevelFilter,
    /// The format of a line.
    #[serde(deserialize_with = "values::format")]
    pub format: LogFormat,
    /// Which checks of proxies are logged.
    #[serde(deserialize_with = "values::checks")]
    pub checks: LoggedChecks,
}

/// The section `[cors]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cors {
    /// The origins whose pages may read the answers of the API.
    #[serde(deserialize_with = "values::origins")]
    pub allowed_origins: Vec<Origin>,
}

/// The section `[console]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Console {
    /// Whether there is a console.
    #[serde(deserialize_with = "values::switch")]
    pub enabled: bool,
    /// Where browsers find the server. `None` if it is the `Host` that they ask for.
    #[serde(deserialize_with = "values::optional_origin")]
    pub base_url: Option<Origin>,
    /// The name that its pages show.
    #[serde(deserialize_with = "values::title")]
    pub title: String,
    /// A picture beside the name.
    #[serde(deserialize_with = "values::optional_path")]
    pub logo: Option<PathBuf>,
}

/// The section `[metrics]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Metrics {
    /// The address at which `/metrics` is answered, never that of the API. `None` for no metrics.
    #[serde(deserialize_with = "values::optional_address")]
    pub bind: Option<SocketAddr>,
}

impl Config {
    /// The prefixes that tell the kinds of credential apart.
    ///
    /// # Panics
    ///
    /// If a prefix was changed after [`Config::load`] to a value that it would refuse.
    pub fn prefixes(&self) -> Prefixes {
        self.try_prefixes().expect("the prefixes were checked when the settings were loaded")
    }

    pub(super) fn try_prefixes(&self) -> Result<Prefixes, ParsePrefixesError> {
        Prefixes::new(&self.sessions.prefix, &self.tokens.pat_prefix, &self.tokens.environment_prefix)
    }
}
