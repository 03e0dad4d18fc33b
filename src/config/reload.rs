//! What a running server takes over when the configuration is read again, and what needs a restart.

use super::settings::Config;

/// A configuration that was read again.
#[derive(Clone, Debug)]
pub struct Reloaded {
    /// The settings of the running server, with those that it takes over.
    pub config: Config,
    /// The settings that have changed and are taken over.
    pub applied: Vec<&'static str>,
    /// The settings that have changed and need a restart.
    pub need_restart: Vec<&'static str>,
}

macro_rules! settings {
    (
        need_restart: $($kept_section:ident . $kept:ident),+;
        taken_over: $($section:ident . $key:ident),+;
    ) => {
        #[cfg(test)]
        const NEED_RESTART: &[&str] = &[$(concat!(stringify!($kept_section), ".", stringify!($kept))),+];
        #[cfg(test)]
        const TAKEN_OVER: &[&str] = &[$(concat!(stringify!($section), ".", stringify!($key))),+];

        impl Config {
            /// Compares these settings of a running server with `new` ones. `new` is valid by itself, and no rule compares a
            /// setting that is taken over with one that needs a restart, so the result is valid, too.
            pub fn reloaded(&self, mut new: Self) -> Reloaded {
                let (mut applied, mut need_restart) = (Vec::new(), Vec::new());
                $(
                    if new.$kept_section.$kept != self.$kept_section.$kept {
                        need_restart.push(concat!(stringify!($kept_section), ".", stringify!($kept)));
                        new.$kept_section.$kept.clone_from(&self.$kept_section.$kept);
                    }
                )+
                $(
                    if new.$section.$key != self.$section.$key {
                        applied.push(concat!(stringify!($section), ".", stringify!($key)));
                    }
                )+
                if new.policies != self.policies {
                    applied.push("policies");
                }
                Reloaded { config: new, applied, need_restart }
            }
        }
    };
}

settings! {
    need_restart:
        server.bind, server.workers, server.max_connections, server.keep_alive, server.head_timeout, server.write_timeout,
        server.head_limit, server.drain_delay, server.drain_timeout,
        database.path, database.url, database.ca_file, database.readers, database.pool_timeout, database.busy_timeout,
        database.write_queue,
        cache.tokens, cache.sessions, cache.unknown,
        passwords.memory_kib, passwords.iterations, passwords.lanes, passwords.concurrent_hashes, passwords.max_wait,
        sessions.prefix, tokens.pat_prefix, tokens.environment_prefix,
        usage.enabled, usage.keep_days, usage.max_abilities,
        log.format, metrics.bind,
        console.enabled, console.base_url, console.title, console.logo;
    taken_over:
        server.trusted_proxies, server.body_timeout, server.body_limit, server.request_deadline,
        accounts.registration, accounts.email_change, accounts.invitation_lifetime,
        passwords.min_length,
        sessions.lifetime, sessions.idle_lifetime,
        tokens.max_per_user, tokens.abilities, tokens.require_abilities, tokens.default_lifetime, tokens.max_lifetime,
        tokens.allow_endless, tokens.idle_lifetime, tokens.prune_after,
        rotation.grace, rotation.max_grace, rotation.end_on_first_use, rotation.on_reuse,
        audit.prune_after,
        throttle.per_email_burst, throttle.per_email_per_minute, throttle.per_account_burst,
        throttle.per_account_per_minute, throttle.successes_per_account_burst,
        throttle.successes_per_account_per_minute, throttle.per_address_burst, throttle.per_address_per_minute,
        throttle.reports_per_address_burst, throttle.reports_per_address_per_minute, throttle.reports_burst,
        throttle.reports_per_minute, throttle.rotations_per_family_burst, throttle.rotations_per_family_per_minute,
        cors.allowed_origins,
        log.level, log.checks;
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use toml::Table;

    use super::*;
    use crate::config::{Sources, load::DEFAULTS};

    fn read(flags: &[(&'static str, &str)]) -> Config {
        let flags = flags.iter().map(|(key, text)| (*key, (*text).to_owned())).collect();
        Config::load(Sources { flags, ..Sources::default() }).unwrap()
    }

    #[test]
    fn every_setting_is_taken_over_or_needs_a_restart() {
        let defaults: Table = toml::from_str(DEFAULTS).unwrap();
        let all = defaults.iter().flat_map(|(section, content)| {
            content.as_table().unwrap().keys().map(move |key| format!("{section}.{key}"))
        });
        let listed: Vec<String> = NEED_RESTART.iter().chain(TAKEN_OVER).map(|key| (*key).to_owned()).collect();
        assert_eq!(
            listed.iter().cloned().collect::<BTreeSet<_>>(),
            all.collect(),
            "each setting is in one of the lists"
        );
        assert_eq!(listed.len(), listed.iter().collect::<BTreeSet<_>>().len(), "no setting is listed twice");
    }

    #[test]
    fn changed_settings_are_named_and_only_some_are_taken_over() {
        let running = read(&[("server.workers", "3"), ("server.body_limit", "2KiB")]);
        let new = [("server.workers", "4"), ("server.body_limit", "4KiB"), ("tokens.max_per_user", "7")];
        let Reloaded { config, applied, need_restart } = running.reloaded(read(&new));
        assert_eq!((applied, need_restart), (vec!["server.body_limit", "tokens.max_per_user"], vec!["server.workers"]));
        assert_eq!((config.server.workers, config.server.body_limit, config.tokens.max_per_user), (3, 4096, 7));
        let again = config.reloaded(read(&new));
        assert_eq!(
            (again.applied, again.need_restart),
            (vec![], vec!["server.workers"]),
            "it is named until the restart"
        );
    }
}
