//! Who is named in the log line of a request that was answered with 429: its address, and the account or the token that
//! it was for.

use actix_web::{HttpMessage, HttpRequest};

use super::principal_summary::PrincipalSummary;
use crate::{
    domain::account::Email,
    http::{input::client::client_address, state::current::State},
    ops::{
        Error,
        verification::{self, Rejection},
    },
};

/// The account that a request is for, as the log may name it.
#[derive(Clone)]
struct Account(String);

/// The token whose usage limits the request exceeds.
#[derive(Clone, Copy)]
struct LimitedToken(PrincipalSummary);

/// Notes the account of a request that needs no credential, such as a sign-in.
pub(crate) fn note_account(request: &HttpRequest, email: &Email) {
    request.extensions_mut().insert(Account(masked(email)));
}

/// Notes the token that `credential` belongs to, if `error` says that its usage limits are exceeded.
pub(crate) async fn note_token(request: &HttpRequest, credential: &str, error: &Error) {
    if !matches!(error, Error::Throttled(_) | Error::Rejected(Rejection::RateLimited(_) | Rejection::QuotaExceeded)) {
        return;
    }
    let state = State::of(request);
    if let Ok(Some(principal)) = verification::find_token(&state.ops, credential).await {
        request.extensions_mut().insert(LimitedToken(PrincipalSummary::new(&principal)));
    }
}

/// Who made a request, and for whom.
pub(super) struct LogSubject {
    pub(super) principal: Option<PrincipalSummary>,
    pub(super) client: String,
    pub(super) account: Option<String>,
}

impl LogSubject {
    pub(super) fn new(request: &HttpRequest, principal: Option<PrincipalSummary>) -> Self {
        let state = State::of(request);
        let extensions = request.extensions();
        Self {
            principal: principal.or_else(|| extensions.get::<LimitedToken>().map(|LimitedToken(token)| *token)),
            client: client_address(request.peer_addr(), request.headers(), &state).to_string(),
            account: extensions.get::<Account>().map(|Account(account)| account.clone()),
        }
    }
}

/// The address with all but the first character of its local part hidden. The owner can recognise it.
fn masked(email: &Email) -> String {
    let (local, host) = email.as_str().split_once('@').unwrap_or_default();
    let first = local.chars().next().filter(|_| local.chars().nth(1).is_some());
    format!("{}***@{host}", first.map_or_else(String::new, String::from))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_of_an_address_but_its_first_character_and_its_host_is_hidden() {
        let shown = |text| masked(&Email::parse(text).unwrap());
        assert_eq!(shown("ada.lovelace@example.com"), "a***@example.com");
        assert_eq!(shown("a@example.com"), "***@example.com");
        assert_eq!(shown("ünal@example.com"), "ü***@example.com");
    }
}
