//! What the log line and the headers of an answer say of a principal.

use std::fmt;

use uuid::Uuid;

use crate::{
    domain::{id::UserId, owner::ServiceAccount, secret::CredentialKind, time::Timestamp},
    ops::{principal::Principal, usage_limits::RateState},
};

/// A principal as the log line and the headers of an answer show it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PrincipalSummary {
    kind: CredentialKind,
    id: Uuid,
    /// The service account that a token belongs to.
    service_account: Option<UserId>,
    /// The expiry of a token. The answer to a sign-in has that of a session.
    pub(crate) token_expires_at: Option<Timestamp>,
    /// The rate state of a token that has a rate limit.
    pub(crate) rate_state: Option<RateState>,
}

impl PrincipalSummary {
    pub(crate) fn new(principal: &Principal) -> Self {
        let token_expires_at = match principal {
            Principal::PersonalAccessToken { record, .. } | Principal::EnvironmentToken { record, .. } => {
                record.token.expires_at
            }
            Principal::Session { .. } => None,
        };
        let service_account = principal.service_account().map(|account| account.id);
        let rate_state = principal.rate_state();
        Self { kind: principal.kind(), id: principal.id(), service_account, token_expires_at, rate_state }
    }
}

impl fmt::Display for PrincipalSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.kind.as_str(), self.id)?;
        match self.service_account {
            Some(id) => write!(f, " {}:{id}", ServiceAccount::KIND),
            None => Ok(()),
        }
    }
}
