//! Whom the log names where a request is refused as one too many (429): the address that it came from, and the account or
//! the token that it was for.

use actix_web::{HttpMessage, HttpRequest, web::Data};

use super::{AppState, client::client_of, guard::PrincipalSummary};
use crate::{
    domain::account::Email,
    ops::{
        Error,
        verification::{self, Rejection},
    },
};

/// The account that a request is for, as the log may name it.
#[derive(Clone)]
struct Account(String);

/// The token whose limits the request exceeds.
#[derive(Clone, Copy)]
struct Limited(PrincipalSummary);

/// Notes for which account somebody asks who has no credential of it.
pub(super) fn note_account(request: &HttpRequest, email: &Email) {
    request.extensions_mut().insert(Account(masked(email)));
}

/// Notes whose `credential` it is that was refused with `error`, if that is because its limits are used up.
pub(super) async fn note_token(request: &HttpRequest, credential: &str, error: &Error) {
    if !matches!(error, Error::Throttled(_) | Error::Rejected(Rejection::RateLimited(_) | Rejection::QuotaExceeded)) {
        return;
    }
    let state = request.app_data::<Data<AppState>>().expect("the state is part of every application");
    if let Ok(Some(principal)) = verification::find_token(&state.ops, credential).await {
        request.extensions_mut().insert(Limited(PrincipalSummary::of(&principal)));
    }
}

/// Who is named in the line of a request that was one too many.
pub(super) struct Named {
    pub(super) asker: Option<PrincipalSummary>,
    pub(super) client: String,
    pub(super) account: Option<String>,
}

impl Named {
    pub(super) fn of(request: &HttpRequest, asker: Option<PrincipalSummary>) -> Self {
        let state = request.app_data::<Data<AppState>>().expect("the state is part of every application");
        let noted = request.extensions();
        Self {
            asker: asker.or_else(|| noted.get::<Limited>().map(|Limited(asker)| *asker)),
            client: client_of(request.peer_addr(), request.headers(), state).to_string(),
            account: noted.get::<Account>().map(|Account(account)| account.clone()),
        }
    }
}

/// The address with its local part but for the first character hidden: enough for its owner to recognise it.
fn masked(email: &Email) -> String {
    let (local, host) = email.as_str().split_once('@').unwrap_or_default();
    let first = local.chars().next().filter(|_| local.chars().nth(1).is_some());
    format!("{}***@{host}", first.map_or_else(String::new, String::from))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_masked_but_for_its_first_character_and_its_host() {
        let shown = |text| masked(&Email::parse(text).unwrap());
        assert_eq!(shown("ada.lovelace@example.com"), "a***@example.com");
        assert_eq!(shown("a@example.com"), "***@example.com");
        assert_eq!(shown("ünal@example.com"), "ü***@example.com");
    }
}
