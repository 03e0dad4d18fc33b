//! The options of a policy beside its rules. The defaults suit most applications.

use super::path::PathReading;

/// The options of a policy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PolicyOptions {
    /// How the application reads paths.
    pub path_reading: PathReading,
    /// The schemes that a 401 offers.
    pub challenges: Challenges,
    /// Where a token may be in a request besides `Authorization`.
    pub credential_from: Vec<CredentialPlace>,
    /// Which identity headers the application gets.
    pub identity_headers: IdentityHeaders,
}

/// The schemes that a 401 offers (RFC 9110, section 11.6.1).
///
/// git, Docker and `curl --anyauth` send their token only if Basic is offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Challenges {
    /// Bearer (RFC 6750).
    pub bearer: bool,
    /// Basic (RFC 7617). The token is the password or the user name.
    pub basic: bool,
}

impl Challenges {
    /// The names of the schemes, as in the setting.
    pub fn names(self) -> Vec<&'static str> {
        let all = [("basic", self.basic), ("bearer", self.bearer)];
        all.into_iter().filter(|(_, is_offered)| *is_offered).map(|(name, _)| name).collect()
    }
}

impl Default for Challenges {
    fn default() -> Self {
        Self { bearer: true, basic: false }
    }
}

/// A place in a request where some clients put their token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CredentialPlace {
    /// A header of this name (in lower case). Its value is the token and nothing else.
    Header(String),
    /// A cookie of this name.
    Cookie(String),
}

/// The text does not name a place for a token. The message reads on from the name of the setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be header:NAME, such as header:X-API-Key, or cookie:NAME, and no header that means something else")]
pub struct ParseCredentialPlaceError;

/// Headers with another meaning to proxies or to this server. Those that begin with one of [`OWN_PREFIXES`] are excluded
/// as well.
const TAKEN: [&str; 14] = [
    "authorization",
    "connection",
    "content-length",
    "content-type",
    "cookie",
    "expect",
    "host",
    "keep-alive",
    "proxy-authorization",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
];
const OWN_PREFIXES: [&str; 5] = ["remote-", "x-auth-request-", "x-auth-token-", "x-forwarded-", "x-original-"];

impl CredentialPlace {
    /// Parses `header:NAME` or `cookie:NAME`.
    pub fn parse(text: &str) -> Result<Self, ParseCredentialPlaceError> {
        // RFC 9110, section 5.6.2.
        let is_name = |name: &str| {
            !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
        };
        match text.split_once(':') {
            Some(("header", name)) if is_name(name) => {
                let name = name.to_ascii_lowercase();
                let is_taken = TAKEN.contains(&&*name) || OWN_PREFIXES.iter().any(|prefix| name.starts_with(prefix));
                if is_taken { Err(ParseCredentialPlaceError) } else { Ok(Self::Header(name)) }
            }
            // Names of cookies are case-sensitive (RFC 6265, section 4.1.1).
            Some(("cookie", name)) if is_name(name) => Ok(Self::Cookie(name.to_owned())),
            _ => Err(ParseCredentialPlaceError),
        }
    }
}

impl std::fmt::Display for CredentialPlace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Header(name) => write!(f, "header:{name}"),
            Self::Cookie(name) => write!(f, "cookie:{name}"),
        }
    }
}

/// A header that tells the application who the principal is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdentityHeader {
    /// The user's id.
    RemoteUser,
    /// The user's address.
    RemoteEmail,
    /// The user's name.
    RemoteName,
    /// `service_account` for a service account, and empty for everybody else.
    RemoteGroups,
    /// The user's id.
    AuthRequestUser,
    /// The user's address.
    AuthRequestEmail,
    /// The id of the token or the session.
    TokenId,
    /// The kind of the credential.
    TokenKind,
    /// The token's abilities, with spaces between them.
    Abilities,
    /// The id of the environment, for its tokens.
    EnvironmentId,
}

impl IdentityHeader {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::RemoteUser,
        Self::RemoteEmail,
        Self::RemoteName,
        Self::RemoteGroups,
        Self::AuthRequestUser,
        Self::AuthRequestEmail,
        Self::TokenId,
        Self::TokenKind,
        Self::Abilities,
        Self::EnvironmentId,
    ];

    /// The name of the header.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RemoteUser => "Remote-User",
            Self::RemoteEmail => "Remote-Email",
            Self::RemoteName => "Remote-Name",
            Self::RemoteGroups => "Remote-Groups",
            Self::AuthRequestUser => "X-Auth-Request-User",
            Self::AuthRequestEmail => "X-Auth-Request-Email",
            Self::TokenId => "X-Auth-Token-Id",
            Self::TokenKind => "X-Auth-Token-Kind",
            Self::Abilities => "X-Auth-Abilities",
            Self::EnvironmentId => "X-Auth-Environment-Id",
        }
    }

    /// The header with this name, in upper or lower case.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|header| header.as_str().eq_ignore_ascii_case(name))
    }
}

/// The identity headers that an application gets. The others are sent empty, so that a proxy overwrites those that a client
/// forged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdentityHeaders(u16);

impl IdentityHeaders {
    /// All ten.
    pub const ALL: Self = Self((1 << IdentityHeader::ALL.len()) - 1);

    /// Whether the application gets `header`.
    pub const fn wants(self, header: IdentityHeader) -> bool {
        self.0 & (1 << header as u16) != 0
    }
}

impl Default for IdentityHeaders {
    fn default() -> Self {
        Self::ALL
    }
}

impl FromIterator<IdentityHeader> for IdentityHeaders {
    fn from_iter<I: IntoIterator<Item = IdentityHeader>>(headers: I) -> Self {
        Self(headers.into_iter().fold(0, |set, header| set | (1 << header as u16)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_a_cookie_or_a_header_without_another_meaning() {
        assert_eq!(CredentialPlace::parse("header:X-API-Key"), Ok(CredentialPlace::Header("x-api-key".to_owned())));
        assert_eq!(CredentialPlace::parse("cookie:Session"), Ok(CredentialPlace::Cookie("Session".to_owned())));
        for bad in [
            "",
            "X-API-Key",
            "header:",
            "header: X",
            "header:a b",
            "header:Authorization",
            "header:Cookie",
            "header:host",
            "header:Remote-User",
            "header:X-Original-URI",
            "header:X-Forwarded-For",
            "cookie:",
            "cookie:a=b",
            "cookie:a;b",
            "query:token",
            "Header:X-API-Key",
        ] {
            assert_eq!(CredentialPlace::parse(bad), Err(ParseCredentialPlaceError), "{bad:?}");
        }
    }

    #[test]
    fn a_set_of_headers_holds_those_that_were_put_in() {
        let one = IdentityHeaders::from_iter([IdentityHeader::TokenId]);
        for header in IdentityHeader::ALL {
            assert_eq!(one.wants(header), header == IdentityHeader::TokenId);
            assert!(IdentityHeaders::ALL.wants(header));
            assert_eq!(IdentityHeader::parse(&header.as_str().to_lowercase()), Some(header));
        }
        assert_eq!(IdentityHeaders::from_iter(IdentityHeader::ALL), IdentityHeaders::ALL);
    }
}
