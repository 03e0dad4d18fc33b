//! `patd doctor`: examines an installation, and says what to do.

pub(super) mod server;

use std::{fs, os::unix::fs::PermissionsExt, path::Path, time::Duration};

use serde::Serialize;

use super::{
    failure::Failure,
    global::GlobalOptions,
    output::{self, Format},
    terminal::escaped,
};
use crate::{
    compose,
    config::{Config, ConfigErrors},
    domain::finding::{Finding, Verdict},
    logging,
    ops::{self, clock::Clock},
};

const CONFIGURATION: &str = "configuration";
const PASSWORDS: &str = "password hashing";

/// A hash that is faster than this is cheap to guess.
const FAST_HASH: Duration = Duration::from_millis(10);
/// With a slower one, people wait.
const SLOW_HASH: Duration = Duration::from_secs(1);

pub(super) fn run(options: &GlobalOptions, format: Format) -> Result<(), Failure> {
    let findings = match load(options) {
        Ok(config) => examine(options, &config)?,
        Err(errors) => errors.0.iter().map(wrong_setting).collect(),
    };
    for finding in &findings {
        match format.json {
            true => output::print_json(&View::from(finding))?,
            false => output::print(&text(finding))?,
        }
    }
    match findings.iter().map(|finding| finding.verdict).max() {
        None | Some(Verdict::Good) => Ok(()),
        Some(worst) => Err(Failure::Examined(worst)),
    }
}

fn load(options: &GlobalOptions) -> Result<Config, ConfigErrors> {
    let mut config = Config::load(options.sources()?)?;
    // Each finding has its own line.
    config.log.level = log::LevelFilter::Off;
    logging::start(&config.log);
    Ok(config)
}

fn wrong_setting(error: &impl ToString) -> Finding {
    Finding::bad(CONFIGURATION, error.to_string(), "see the description of each key in config.toml")
}

fn examine(options: &GlobalOptions, config: &Config) -> Result<Vec<Finding>, Failure> {
    let mut findings = vec![configuration(options, config)];
    findings.extend(compose::examine_database(config, Clock::system().now()));
    findings.extend(crate::server::block_on(server::examine(config))?);
    findings.push(server::proxies(config));
    findings.push(password_hashing(config));
    Ok(findings)
}

fn configuration(options: &GlobalOptions, config: &Config) -> Finding {
    let file = options.config.as_deref().or_else(|| options.default_file());
    let Some(file) = file else { return Finding::good(CONFIGURATION, "valid, without a file") };
    let shown = escaped(&file.display().to_string());
    if config.database.url.is_some() && is_open_to_others(file) {
        let text = format!("{shown} may be read by other users of this machine, and may hold the database's password");
        let remedy = "chmod 640, or put the address into a file of its own (PATD__DATABASE__URL_FILE)";
        return Finding::warning(CONFIGURATION, text, remedy);
    }
    Finding::good(CONFIGURATION, format!("{shown} is valid"))
}

fn is_open_to_others(file: &Path) -> bool {
    fs::metadata(file).is_ok_and(|metadata| metadata.permissions().mode() & 0o004 != 0)
}

fn password_hashing(config: &Config) -> Finding {
    match ops::hashing_time::of_one_password(&config.passwords) {
        Ok(time) => judge_hashing(time),
        Err(error) => Finding::bad(PASSWORDS, error.to_string(), "lower passwords.memory_kib, or give more memory"),
    }
}

fn judge_hashing(time: Duration) -> Finding {
    let text = format!("one takes {} ms on this machine", time.as_millis());
    match time {
        _ if time < FAST_HASH => {
            Finding::warning(PASSWORDS, text, "raise passwords.memory_kib or passwords.iterations: guessing is cheap")
        }
        _ if time > SLOW_HASH => {
            Finding::warning(PASSWORDS, text, "lower passwords.memory_kib or passwords.iterations: people wait for it")
        }
        _ => Finding::good(PASSWORDS, text),
    }
}

#[derive(Serialize)]
struct View<'f> {
    subject: &'static str,
    verdict: &'static str,
    text: &'f str,
    remedy: Option<&'f str>,
}

impl<'f> From<&'f Finding> for View<'f> {
    fn from(Finding { subject, verdict, text, remedy }: &'f Finding) -> Self {
        Self { subject, verdict: verdict.as_str(), text, remedy: remedy.as_deref() }
    }
}

fn text(Finding { subject, verdict, text, remedy }: &Finding) -> String {
    let line = format!("{:<8} {subject}: {}", verdict.as_str(), escaped(text));
    match remedy {
        Some(remedy) => format!("{line}\n         → {}", escaped(remedy)),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_is_a_line_and_its_remedy_another() {
        assert_eq!(text(&Finding::good("schema", "8")), "good     schema: 8");
        assert_eq!(text(&Finding::bad("log", "long", "find it")), "bad      log: long\n         → find it");
        assert_eq!(text(&Finding::good("schema", "a\u{1b}b")), "good     schema: a\\u{1b}b");
    }

    #[test]
    fn a_hash_is_neither_too_cheap_nor_too_slow() {
        let verdict = |milliseconds| judge_hashing(Duration::from_millis(milliseconds)).verdict;
        assert_eq!((verdict(9), verdict(10)), (Verdict::Warning, Verdict::Good));
        assert_eq!((verdict(1000), verdict(1001)), (Verdict::Good, Verdict::Warning));
    }
}
