//! Which server, and with which encryption.

use std::{io, path::PathBuf, sync::Arc, time::Duration};

use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};
use tokio_postgres::config::{Config, Host, SslMode, TargetSessionAttrs};

/// How long a connection, a statement or a commit may take.
pub(super) const TIME_LIMIT: Duration = Duration::from_secs(2);

/// Which database, and how.
#[derive(Clone)]
pub struct PostgresSettings {
    /// `postgres://user:password@host1,host2/database?sslmode=verify-full`.
    pub url: String,
    /// The certificates that the server's must be signed by. Those of the system if there is no file.
    pub ca_file: Option<PathBuf>,
    /// How many connections may read at the same time.
    pub max_readers: usize,
    /// How many writes may wait for the thread that writes.
    pub write_queue: usize,
    /// What other nodes and operators see of this one.
    pub node_name: String,
}

impl PostgresSettings {
    /// The settings for an address, with few connections.
    pub fn new(url: String) -> Self {
        Self { url, ca_file: None, max_readers: 4, write_queue: 4096, node_name: "patd".to_owned() }
    }
}

/// Why the settings cannot be used. It never contains the password.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SettingsError {
    /// The address is not understood.
    #[error("database.url: {0}")]
    Url(String),
    /// The file of certificates cannot be used.
    #[error("database.ca_file: {0:?}: {1}")]
    CaFile(PathBuf, String),
    /// No certificates to trust were found.
    #[error("database.url: the system has no certificates to check that of the server: set database.ca_file")]
    NoCertificates,
}

/// Several hosts are tried in their order, and only one that accepts writes is used: a standby does not know yet what was just
/// revoked.
pub(super) fn parse(url: &str) -> Result<Config, SettingsError> {
    let refuse = |why: &str| Err(SettingsError::Url(why.to_owned()));
    if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
        return refuse("it must begin with postgres://");
    }
    let (place, options) = url.split_once('?').unwrap_or((url, ""));
    let mut named = None;
    let mut kept = Vec::new();
    for option in options.split('&').filter(|option| !option.is_empty()) {
        match option.strip_prefix("sslmode=") {
            Some(mode) => named = Some(mode),
            None => kept.push(option),
        }
    }
    let mut config: Config = [place, "?", &kept.join("&")].concat().parse().map_err(not_understood)?;
    if config.get_hosts().is_empty() {
        return refuse("it names no host");
    }
    let mode = match named {
        Some("disable") => SslMode::Disable,
        // Certificates are checked, with the name of the host, whenever a connection is encrypted.
        Some("require" | "verify-full") => SslMode::Require,
        Some("prefer" | "allow") => {
            return refuse(
                "with this sslmode, the password may go over the network unencrypted: use verify-full or disable",
            );
        }
        Some("verify-ca") => return refuse("sslmode=verify-ca accepts the certificate of any host: use verify-full"),
        Some(_) => return refuse("sslmode must be disable, require or verify-full"),
        None if config.get_hosts().iter().all(is_on_this_machine) => SslMode::Disable,
        None => SslMode::Require,
    };
    // Each host is tried in turn, so that one that does not answer leaves time for the next.
    let hosts = u32::try_from(config.get_hosts().len()).unwrap_or(u32::MAX);
    config
        .ssl_mode(mode)
        .target_session_attrs(TargetSessionAttrs::ReadWrite)
        .connect_timeout(TIME_LIMIT / hosts)
        .tcp_user_timeout(TIME_LIMIT)
        .keepalives_idle(Duration::from_secs(2))
        .keepalives_interval(Duration::from_secs(1))
        .keepalives_retries(2);
    if config.get_application_name().is_none() {
        config.application_name("patd");
    }
    Ok(config)
}

/// The address once for each of its hosts, which comes first there.
pub(super) fn beginning_with_each_host(config: &Config) -> Vec<Config> {
    (0..config.get_hosts().len().max(1)).map(|first| beginning_with(config, first)).collect()
}

/// A configuration can be added to, but not reordered, so it is made anew.
fn beginning_with(config: &Config, first: usize) -> Config {
    let mut made = Config::new();
    let (hosts, addresses, ports) = (config.get_hosts(), config.get_hostaddrs(), config.get_ports());
    for at in (0..hosts.len()).map(|at| (at + first) % hosts.len()) {
        match &hosts[at] {
            Host::Tcp(name) => made.host(name),
            Host::Unix(path) => made.host_path(path),
        };
        // One for each host, or none.
        addresses.get(at).map(|address| made.hostaddr(*address));
        // One for each host, or one for all.
        ports.get(at).map(|port| made.port(*port));
    }
    config.get_user().map(|user| made.user(user));
    config.get_password().map(|password| made.password(password));
    config.get_dbname().map(|name| made.dbname(name));
    config.get_options().map(|options| made.options(options));
    config.get_application_name().map(|name| made.application_name(name));
    config.get_connect_timeout().map(|timeout| made.connect_timeout(*timeout));
    config.get_tcp_user_timeout().map(|timeout| made.tcp_user_timeout(*timeout));
    config.get_keepalives_interval().map(|interval| made.keepalives_interval(interval));
    config.get_keepalives_retries().map(|retries| made.keepalives_retries(retries));
    made.keepalives(config.get_keepalives())
        .keepalives_idle(config.get_keepalives_idle())
        .ssl_mode(config.get_ssl_mode())
        .ssl_negotiation(config.get_ssl_negotiation())
        .target_session_attrs(config.get_target_session_attrs())
        .channel_binding(config.get_channel_binding())
        .load_balance_hosts(config.get_load_balance_hosts());
    made
}

/// Nothing leaves the machine, so there is nothing to encrypt.
fn is_on_this_machine(host: &Host) -> bool {
    match host {
        Host::Tcp(name) => {
            name == "localhost" || name.parse().is_ok_and(|address: std::net::IpAddr| address.is_loopback())
        }
        Host::Unix(_) => true,
    }
}

/// The message of the driver, which names the part that is wrong, and not the whole address with its password.
fn not_understood(error: tokio_postgres::Error) -> SettingsError {
    let cause = std::error::Error::source(&error).map(ToString::to_string);
    SettingsError::Url(cause.unwrap_or_else(|| "it is not understood".into()))
}

/// Encryption for a server whose certificate is signed by one of the given ones.
pub(super) fn encryption(settings: &PostgresSettings) -> Result<ClientConfig, SettingsError> {
    let mut roots = RootCertStore::empty();
    match &settings.ca_file {
        Some(path) => {
            let fail = |why: String| SettingsError::CaFile(path.clone(), why);
            let certificates = CertificateDer::pem_file_iter(path).map_err(|error| fail(error.to_string()))?;
            for certificate in certificates {
                let certificate = certificate.map_err(|error| fail(error.to_string()))?;
                roots.add(certificate).map_err(|error| fail(error.to_string()))?;
            }
            if roots.is_empty() {
                return Err(fail(io::Error::other("it holds no certificate").to_string()));
            }
        }
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            if roots.is_empty() {
                return Err(SettingsError::NoCertificates);
            }
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    Ok(ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| SettingsError::Url(error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_on_another_machine_is_reached_with_encryption_unless_the_address_says_otherwise() {
        let mode = |url: &str| parse(url).map(|config| config.get_ssl_mode());
        for (url, expected) in [
            ("postgres://patd@db.example.com/patd", SslMode::Require),
            ("postgresql://patd@192.0.2.1,localhost/patd", SslMode::Require),
            ("postgres://patd@localhost/patd", SslMode::Disable),
            ("postgres://patd@127.0.0.1,[::1]:5433/patd", SslMode::Disable),
            ("postgres://patd@/patd?host=/run/postgresql", SslMode::Disable),
            ("postgres://patd@db.example.com/patd?sslmode=disable", SslMode::Disable),
            ("postgres://patd@localhost/patd?sslmode=require", SslMode::Require),
            ("postgres://patd@localhost/patd?connect_timeout=9&sslmode=verify-full", SslMode::Require),
        ] {
            assert_eq!(mode(url), Ok(expected), "{url}");
        }
    }

    #[test]
    fn an_address_that_cannot_be_used_is_refused_without_its_password() {
        for (url, why) in [
            ("patd.db", "begin with postgres://"),
            ("postgres://patd:hunter2@host:none/patd", "port"),
            ("postgres://patd:hunter2@/patd", "no host"),
            ("postgres://patd:hunter2@host/patd?sslmode=verify-ca", "use verify-full"),
            ("postgres://patd:hunter2@host/patd?sslmode=prefer", "unencrypted"),
            ("postgres://patd:hunter2@host/patd?sslmode=full", "must be disable, require or verify-full"),
            ("postgres://patd:hunter2@host/patd?colour=blue", "colour"),
        ] {
            let error = parse(url).expect_err(url).to_string();
            assert!(error.contains(why) && !error.contains("hunter2"), "{url}: {error}");
        }
    }

    #[test]
    fn any_number_of_hosts_is_tried_within_the_limit_of_time_and_only_one_that_accepts_writes_is_used() {
        let config =
            parse("postgres://patd@a,b,c,d/patd?target_session_attrs=any&connect_timeout=60").expect("an address");
        assert_eq!(config.get_connect_timeout().copied(), Some(TIME_LIMIT / 4));
        assert_eq!(config.get_target_session_attrs(), TargetSessionAttrs::ReadWrite);
    }

    #[test]
    fn an_address_can_begin_with_each_of_its_hosts_and_keeps_everything_else() {
        let url = "postgres://ada:secret@a:1,b:2,c:3/patd?hostaddr=192.0.2.1,192.0.2.2,192.0.2.3&sslmode=require\
                   &options=-c%20geqo%3Doff&keepalives=0&channel_binding=require&load_balance_hosts=random";
        let config = parse(url).expect("an address");
        let orders = beginning_with_each_host(&config);
        assert_eq!(orders.len(), 3);
        assert!(orders[0] == config, "something was lost");
        let second = "postgres://ada:secret@b:2,c:3,a:1/patd?hostaddr=192.0.2.2,192.0.2.3,192.0.2.1&sslmode=require\
                      &options=-c%20geqo%3Doff&keepalives=0&channel_binding=require&load_balance_hosts=random";
        assert!(orders[1] == parse(second).expect("an address"), "another order");
        let one_port = parse("postgres://patd@/patd?host=/run/a,/run/b&port=5433").expect("an address");
        assert!(beginning_with_each_host(&one_port)[0] == one_port);
    }

    #[test]
    fn a_file_of_certificates_that_cannot_be_used_is_named() {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("ca.pem");
        let refused = |ca_file: &PathBuf| {
            let settings = PostgresSettings { ca_file: Some(ca_file.clone()), ..PostgresSettings::new(String::new()) };
            encryption(&settings).expect_err("no certificates").to_string()
        };
        assert!(refused(&file).contains("ca.pem"), "{}", refused(&file));
        std::fs::write(&file, "nothing").expect("writable");
        assert!(refused(&file).contains("it holds no certificate"), "{}", refused(&file));
    }
}
