//! The documents that the server shows.

/// A document.
pub(super) struct Guide {
    /// Its name in addresses, which is that of its file.
    pub(super) name: &'static str,
    pub(super) title: &'static str,
    /// What it is about, for an index.
    pub(super) summary: &'static str,
    /// Markdown.
    pub(super) text: &'static str,
}

macro_rules! guide {
    ($name:literal, $title:literal, $summary:literal) => {
        Guide {
            name: $name,
            title: $title,
            summary: $summary,
            text: include_str!(concat!("../../../docs/", $name, ".md")),
        }
    };
}

/// All of them, in the order in which they are of use.
pub(super) const GUIDES: &[Guide] = &[
    guide!("first-token", "Your first token", "from a running server to a request with a token"),
    guide!("proxies", "Behind a proxy", "protect an application with nginx, Caddy, Traefik, Envoy or Apache"),
    guide!("rotation", "Rotation", "replace a token without an outage"),
    guide!("errors", "Errors", "every error code, what it means and what to do about it"),
    guide!("tokens", "Tokens", "the life of a token: abilities, limits, rotation, revocation, reuse"),
    guide!("environments", "Environments", "tokens that belong to a project, and its members"),
    guide!("usage", "Usage", "what a token did, and what is known about a leaked one"),
    guide!("administration", "Administration", "users, service accounts and the tokens of everybody"),
    guide!("audit", "Audit trail", "what is recorded, and how it is sealed"),
    guide!("api", "Routes", "every route with its request and its answer"),
];
