//! Parsers for each kind of value. On failure they say what is allowed, and never show the value, which may be secret:
//! `layers` adds it where it may be shown.

use std::{
    fmt,
    net::{Ipv6Addr, SocketAddr},
    num::NonZeroU32,
    path::PathBuf,
    time::Duration,
};

use ipnet::IpNet;
use log::LevelFilter;
use serde::{Deserialize, Deserializer, de::Error};
use toml::Value;
use zeroize::Zeroizing;

use crate::domain::{ability::Ability, usage_limits::Allowlist};

/// What the server does on reuse of a secret. The request is refused in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnReuse {
    /// Refuses the request, nothing else.
    Refuse,
    /// Revokes every token of the family.
    RevokeFamily,
}

/// The format of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Which checks of proxies get a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoggedChecks {
    /// All.
    All,
    /// All whose answer is not 200.
    Refused,
    /// None.
    None,
}

/// The address of a database. It may contain a password, so it is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct DatabaseUrl(Zeroizing<String>);

impl DatabaseUrl {
    /// The text, with the password.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DatabaseUrl(…)")
    }
}

const DURATION: &str = r#"a duration such as "500ms", "10s", "5m", "12h" or "90d", at most "36500d""#;
/// A hundred years, so that adding it to a point in time cannot overflow.
const LONGEST: Duration = Duration::from_secs(36_500 * 24 * 60 * 60);

const NEVER: &str = "never";

pub(super) fn duration<'de, D: Deserializer<'de>>(d: D) -> Result<Duration, D::Error> {
    read(d, DURATION, |value| parse_duration(value.as_str()?))
}

pub(super) fn duration_or_never<'de, D: Deserializer<'de>>(d: D) -> Result<Option<Duration>, D::Error> {
    read(d, r#""never", or a duration such as "500ms", "10s", "5m", "12h" or "90d", at most "36500d""#, |value| {
        match value.as_str()? {
            NEVER => Some(None),
            text => parse_duration(text).map(Some),
        }
    })
}

pub(super) fn size<'de, D: Deserializer<'de>>(d: D) -> Result<usize, D::Error> {
    let wanted = r#"a size such as "512B", "64KiB" or "1MiB""#;
    read(d, wanted, |value| parse_size(value.as_str()?))
}

pub(super) fn count<'de, D: Deserializer<'de>, T: TryFrom<u32>>(d: D) -> Result<T, D::Error> {
    read(d, "an integer from 0 to 4294967295", whole)
}

pub(super) fn positive<'de, D: Deserializer<'de>>(d: D) -> Result<NonZeroU32, D::Error> {
    read(d, "an integer from 1 to 4294967295", whole)
}

pub(super) fn switch<'de, D: Deserializer<'de>>(d: D) -> Result<bool, D::Error> {
    read(d, "a boolean, true or false", Value::as_bool)
}

pub(super) fn text<'de, D: Deserializer<'de>>(d: D) -> Result<String, D::Error> {
    read(d, "a string", |value| value.as_str().map(str::to_owned))
}

pub(super) fn path<'de, D: Deserializer<'de>>(d: D) -> Result<PathBuf, D::Error> {
    read(d, "a string, the path of a file", |value| value.as_str().filter(|path| !path.is_empty()).map(PathBuf::from))
}

/// `None` for the empty text.
pub(super) fn optional_path<'de, D: Deserializer<'de>>(d: D) -> Result<Option<PathBuf>, D::Error> {
    let wanted = "a string, the path of a file";
    read(d, wanted, |value| value.as_str().map(|path| (!path.is_empty()).then(|| PathBuf::from(path))))
}

/// `None` for the empty text.
pub(super) fn database_url<'de, D: Deserializer<'de>>(d: D) -> Result<Option<DatabaseUrl>, D::Error> {
    let url = |url: &str| (!url.is_empty()).then(|| DatabaseUrl(Zeroizing::new(url.to_owned())));
    read(d, "a string", |value| value.as_str().map(url))
}

/// Origins as browsers write them in `Origin`, because they are compared with that.
pub(super) fn origins<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<Origin>, D::Error> {
    let wanted = r#"an array of origins as browsers send them, such as ["https://app.example.com", "http://localhost:5173"]: http or https, the host in lower case, the port unless it is 443 or 80 as usual, no path, no / at the end, no *"#;
    list(d, wanted, Origin::parse_exact)
}

/// The scheme, the host and the port of a server, as browsers name them (RFC 6454).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Whether the scheme is `https`.
    pub is_secure: bool,
    /// The host, with the port unless it is that of the scheme.
    pub authority: String,
}

impl Origin {
    /// Parses `https://host` or `http://host:port`. `None` if it has another scheme, a path or a user.
    pub fn parse(text: &str) -> Option<Self> {
        let (scheme, authority) = text.strip_suffix('/').unwrap_or(text).split_once("://")?;
        let (is_secure, default_port) = match scheme {
            "https" => (true, ":443"),
            "http" => (false, ":80"),
            _ => return None,
        };
        let authority = authority.strip_suffix(default_port).unwrap_or(authority).to_ascii_lowercase();
        let is_host = |c: char| c.is_ascii_alphanumeric() || ".-:[]_".contains(c);
        (!authority.is_empty() && authority.chars().all(is_host)).then_some(Self { is_secure, authority })
    }

    /// Parses an origin that is written exactly as browsers write it.
    fn parse_exact(text: &str) -> Option<Self> {
        let origin = Self::parse(text)?;
        let (host, port) = match origin.authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
            _ => (&*origin.authority, None),
        };
        let is_port = |text: &str| text.parse::<u16>().is_ok_and(|port| port > 0 && port.to_string() == text);
        let is_host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
            Some(address) => address.parse::<Ipv6Addr>().is_ok_and(|parsed| parsed.to_string() == address),
            None => host.split('.').all(|label| !label.is_empty() && !label.contains([':', '[', ']'])),
        };
        (is_host && port.is_none_or(is_port) && origin.to_string() == text).then_some(origin)
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", if self.is_secure { "https" } else { "http" }, self.authority)
    }
}

/// `None` for the empty text.
pub(super) fn optional_origin<'de, D: Deserializer<'de>>(d: D) -> Result<Option<Origin>, D::Error> {
    let wanted = r#"a scheme and a host without a path, such as "https://tokens.example.com", or "" for the host of each request"#;
    read(d, wanted, |value| match value.as_str()? {
        "" => Some(None),
        origin => Origin::parse(origin).map(Some),
    })
}

pub(super) fn title<'de, D: Deserializer<'de>>(d: D) -> Result<String, D::Error> {
    read(d, "a string of 1 to 60 characters", |value| {
        value.as_str().filter(|title| (1..=60).contains(&title.trim().chars().count())).map(str::to_owned)
    })
}

pub(super) fn address<'de, D: Deserializer<'de>>(d: D) -> Result<SocketAddr, D::Error> {
    let wanted = r#"an IP address and a port in a string, such as "127.0.0.1:8080" or "[::1]:8080""#;
    read(d, wanted, |value| value.as_str()?.parse().ok())
}

/// `None` for the empty text.
pub(super) fn optional_address<'de, D: Deserializer<'de>>(d: D) -> Result<Option<SocketAddr>, D::Error> {
    let wanted = r#"an IP address and a port in a string, such as "127.0.0.1:9464", or "" for none"#;
    read(d, wanted, |value| match value.as_str()? {
        "" => Some(None),
        address => address.parse().ok().map(Some),
    })
}

pub(super) fn networks<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<IpNet>, D::Error> {
    let wanted = r#"an array of addresses and networks, such as ["10.0.0.0/8", "::1"]"#;
    list(d, wanted, |text| Allowlist::parse_network(text).ok())
}

pub(super) fn abilities<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<Ability>, D::Error> {
    let wanted = r#"an array of abilities, such as ["calls:read"] (words of letters, digits, _ . and -, joined by :; the last word may be *)"#;
    list(d, wanted, |text| Ability::parse(text).ok())
}

pub(super) fn level<'de, D: Deserializer<'de>>(d: D) -> Result<LevelFilter, D::Error> {
    let wanted = r#"one of the strings "error", "warn", "info", "debug" and "trace""#;
    read(d, wanted, |value| {
        let level: log::Level = value.as_str()?.parse().ok()?;
        Some(level.to_level_filter())
    })
}

pub(super) fn format<'de, D: Deserializer<'de>>(d: D) -> Result<LogFormat, D::Error> {
    let wanted = r#"one of the strings "text" and "json""#;
    read(d, wanted, |value| match value.as_str()? {
        "text" => Some(LogFormat::Text),
        "json" => Some(LogFormat::Json),
        _ => None,
    })
}

pub(super) fn checks<'de, D: Deserializer<'de>>(d: D) -> Result<LoggedChecks, D::Error> {
    let wanted = r#"one of the strings "all", "refused" and "none""#;
    read(d, wanted, |value| match value.as_str()? {
        "all" => Some(LoggedChecks::All),
        "refused" => Some(LoggedChecks::Refused),
        "none" => Some(LoggedChecks::None),
        _ => None,
    })
}

pub(super) fn on_reuse<'de, D: Deserializer<'de>>(d: D) -> Result<OnReuse, D::Error> {
    let wanted = r#"one of the strings "refuse" and "revoke_family""#;
    read(d, wanted, |value| match value.as_str()? {
        "refuse" => Some(OnReuse::Refuse),
        "revoke_family" => Some(OnReuse::RevokeFamily),
        _ => None,
    })
}

fn read<'de, D: Deserializer<'de>, T>(
    deserializer: D,
    wanted: &str,
    parse: impl FnOnce(&Value) -> Option<T>,
) -> Result<T, D::Error> {
    parse(&Value::deserialize(deserializer)?).ok_or_else(|| D::Error::custom(wanted))
}

fn list<'de, D: Deserializer<'de>, T>(
    deserializer: D,
    wanted: &str,
    parse: impl Fn(&str) -> Option<T>,
) -> Result<Vec<T>, D::Error> {
    let value = Value::deserialize(deserializer)?;
    let items = value.as_array().ok_or_else(|| D::Error::custom(wanted))?;
    let item = |(at, item): (usize, &Value)| {
        item.as_str()
            .and_then(&parse)
            .ok_or_else(|| D::Error::custom(format!("{wanted}, but its item {} is not allowed", at + 1)))
    };
    items.iter().enumerate().map(item).collect()
}

fn whole<T: TryFrom<u32>>(value: &Value) -> Option<T> {
    T::try_from(u32::try_from(value.as_integer()?).ok()?).ok()
}

pub(super) fn parse_duration(text: &str) -> Option<Duration> {
    let (number, unit) = number_and_unit(text)?;
    let milliseconds = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" => 60 * 1000,
        "h" => 60 * 60 * 1000,
        "d" => 24 * 60 * 60 * 1000,
        _ => return None,
    };
    let duration = Duration::from_millis(number.checked_mul(milliseconds)?);
    (duration <= LONGEST).then_some(duration)
}

fn parse_size(text: &str) -> Option<usize> {
    let (number, unit) = number_and_unit(text)?;
    let bytes = match unit {
        "B" => 1,
        "KiB" => 1024,
        "MiB" => 1024 * 1024,
        _ => return None,
    };
    usize::try_from(number.checked_mul(bytes)?).ok()
}

fn number_and_unit(text: &str) -> Option<(u64, &str)> {
    let (digits, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit())?);
    Some((digits.parse().ok()?, unit))
}
