//! A token.

use std::{borrow::Cow, fmt};

use serde::{Deserialize, Serialize};

use super::annotations::AnnotationsView;
use crate::domain::{
    id::TokenId,
    token::{IssuedToken, Revocation, Token},
    usage_limits::UsageLimits,
};

/// A token, without its secret.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct TokenView {
    /// The id.
    pub id: String,
    /// The name.
    pub name: String,
    /// The abilities.
    pub abilities: Vec<String>,
    /// When it was last used.
    pub last_used_at: Option<String>,
    /// When it was created.
    pub created_at: String,
    /// Its expiry.
    pub expires_at: Option<String>,
    /// Since when it is disabled.
    pub disabled_at: Option<String>,
    /// The last four characters of its secret.
    pub hint: String,
    /// The token that it replaces.
    pub rotated_from: Option<String>,
    /// Its latest successor.
    pub rotated_to: Option<String>,
    #[serde(flatten)]
    limits: LimitsView,
    #[serde(flatten)]
    annotations: AnnotationsView,
    #[serde(default, skip_serializing_if = "is_false")]
    canary: bool,
    /// Only for a revoked token.
    #[serde(flatten)]
    revocation: Option<RevocationView>,
}

/// Only a canary token has the field.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_false(value: &bool) -> bool {
    !*value
}

#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct RevocationView {
    revoked_at: String,
    revoked_reason: Cow<'static, str>,
}

impl From<Revocation> for RevocationView {
    fn from(Revocation { at, reason }: Revocation) -> Self {
        Self { revoked_at: at.to_string(), revoked_reason: reason.as_str().into() }
    }
}

impl TokenView {
    /// A token with what is left of its quota and its latest successor.
    pub fn new(token: Token, quota_left: Option<u32>, successor: Option<TokenId>) -> Self {
        Self {
            limits: LimitsView::new(token.limits.as_deref(), quota_left),
            annotations: AnnotationsView::new(token.annotations.as_deref()),
            canary: token.is_canary,
            rotated_from: token.rotated_from.map(|id| id.to_string()),
            rotated_to: successor.map(|id| id.to_string()),
            id: token.id.to_string(),
            name: token.name.to_string(),
            abilities: token.abilities.iter().map(ToString::to_string).collect(),
            last_used_at: token.last_used_at.map(|at| at.to_string()),
            created_at: token.created_at.to_string(),
            expires_at: token.expires_at.map(|at| at.to_string()),
            disabled_at: token.disabled_at.map(|at| at.to_string()),
            hint: token.hint.to_string(),
            revocation: token.revoked.map(RevocationView::from),
        }
    }
}

/// The usage limits of a token. Limits that it does not have are omitted.
#[derive(Debug, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct LimitsView {
    #[serde(skip_serializing_if = "Option::is_none")]
    ip_allowlist: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    requests_per_minute: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    quota: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    quota_remaining: Option<u32>,
}

impl LimitsView {
    fn new(limits: Option<&UsageLimits>, quota_remaining: Option<u32>) -> Self {
        let Some(limits) = limits else { return Self::default() };
        let networks = limits.allowlist.networks();
        Self {
            ip_allowlist: (!networks.is_empty()).then(|| networks.iter().map(ToString::to_string).collect()),
            requests_per_minute: limits.requests_per_minute,
            quota: limits.quota,
            quota_remaining,
        }
    }
}

/// A new token. This is the only view with a secret.
#[derive(Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct IssuedTokenView {
    /// The id.
    pub id: String,
    name: String,
    abilities: Vec<String>,
    /// The secret.
    pub token: String,
    created_at: String,
    expires_at: Option<String>,
    hint: String,
    #[serde(flatten)]
    limits: LimitsView,
    #[serde(flatten)]
    annotations: AnnotationsView,
    #[serde(default, skip_serializing_if = "is_false")]
    canary: bool,
}

impl IssuedTokenView {
    /// The secret has the form `N|SECRET`.
    pub fn numbered(issued: IssuedToken) -> Self {
        let secret = issued.plaintext.expose().to_owned();
        Self::new(issued, secret)
    }

    /// The secret is without the `N|`.
    pub fn unnumbered(issued: IssuedToken) -> Self {
        let secret = issued.plaintext.expose_unnumbered().to_owned();
        Self::new(issued, secret)
    }

    fn new(issued: IssuedToken, secret: String) -> Self {
        let TokenView { id, name, abilities, created_at, expires_at, hint, limits, annotations, canary, .. } =
            TokenView::new(issued.token, issued.quota_left, None);
        Self { id, name, abilities, token: secret, created_at, expires_at, hint, limits, annotations, canary }
    }
}

/// Without the secret.
impl fmt::Debug for IssuedTokenView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IssuedTokenView({})", self.id)
    }
}
