//! Settings that suit tests.

use patd::config::{Config, Sources};

/// Password hashing that takes no noticeable time.
pub const FAST_HASHING: [(&str, &str); 2] = [("passwords.memory_kib", "8"), ("passwords.iterations", "1")];

/// Limits on attempts that no test reaches.
pub const NO_THROTTLE: [(&str, &str); 10] = [
    ("throttle.per_email_burst", "1000000"),
    ("throttle.per_email_per_minute", "1000000"),
    ("throttle.per_account_burst", "1000000"),
    ("throttle.per_account_per_minute", "1000000"),
    ("throttle.successes_per_account_burst", "1000000"),
    ("throttle.successes_per_account_per_minute", "1000000"),
    ("throttle.per_address_burst", "1000000"),
    ("throttle.per_address_per_minute", "1000000"),
    ("throttle.rotations_per_family_burst", "1000000"),
    ("throttle.rotations_per_family_per_minute", "1000000"),
];

/// The settings with some changed by dotted key, and a configuration file if there is one. Later changes win.
pub fn load(file: Option<&std::path::Path>, changes: &[(&'static str, &str)]) -> Config {
    let flags = changes.iter().map(|(key, value)| (*key, (*value).to_owned())).collect();
    let sources = Sources { file: file.map(Into::into), environment: Vec::new(), flags };
    Config::load(sources).unwrap_or_else(|errors| panic!("{errors}"))
}

/// The name of the environment variable of a setting.
pub fn variable(key: &str) -> String {
    format!("PATD__{}", key.replace('.', "__").to_uppercase())
}
