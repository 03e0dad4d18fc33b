//! What the throttle holds against an account or an address.

use std::net::IpAddr;

use actix_web::web::{Json, Query};
use serde::{Deserialize, Serialize};

use crate::{
    domain::account::Email,
    http::{
        error::ApiError,
        input::{
            guard::{Admin, AdminReader, Guard},
            page,
            request_source::Source,
        },
        state::current::State,
    },
    ops::{
        FieldError,
        attempts::{self, AttemptsOf, HeldAttempts},
    },
    views::DataView,
};

/// How many counters are shown. An account that is attacked from many networks has one for each.
const SHOWN: usize = 100;

/// The parameters of both routes.
pub(crate) const PARAMETERS: &[&str] = &["email", "address"];

/// Whose attempts. The values are kept as text, so that an invalid one is answered like an invalid field.
#[derive(Deserialize)]
pub(crate) struct WhoseQuery {
    email: Option<String>,
    address: Option<String>,
}

impl WhoseQuery {
    fn read(self) -> Result<AttemptsOf, ApiError> {
        match (self.email, self.address) {
            (Some(email), None) => match Email::parse_stored(&email) {
                Ok(email) => Ok(AttemptsOf::Account(email)),
                Err(error) => Err(FieldError::new("email", error).into()),
            },
            (None, Some(address)) => match address.parse::<IpAddr>() {
                Ok(address) => Ok(AttemptsOf::Address(address)),
                Err(_) => Err(FieldError::new("address", "must be an IP address.").into()),
            },
            (None, None) => Err(FieldError::new("email", "is required, or else the field address.").into()),
            (Some(_), Some(_)) => Err(FieldError::new("email", "must not be sent together with address.").into()),
        }
    }
}

/// What is held.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "HeldAttempts"))]
pub(crate) struct HeldView {
    total: usize,
    counters: Vec<CounterView>,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct CounterView {
    scope: &'static str,
    limit: u32,
    attempts_left: u32,
    blocked_until: Option<String>,
    rests_at: String,
}

impl From<HeldAttempts> for CounterView {
    fn from(held: HeldAttempts) -> Self {
        Self {
            scope: held.scope.as_str(),
            limit: held.limit,
            attempts_left: held.left,
            blocked_until: held.blocked_until.map(|at| at.to_string()),
            rests_at: held.rests_at.to_string(),
        }
    }
}

pub(crate) async fn show(
    state: State,
    Guard(AdminReader(admin)): Guard<AdminReader>,
    query: Result<Query<WhoseQuery>, actix_web::Error>,
) -> Result<Json<DataView<HeldView>>, ApiError> {
    let whose = page::read(query)?.read()?;
    let held = attempts::held(&state.ops, admin.administrator, whose).await?;
    let total = held.len();
    let counters = held.into_iter().take(SHOWN).map(CounterView::from).collect();
    Ok(Json(DataView { data: HeldView { total, counters } }))
}

/// How many counters were cleared.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "ClearedCount"))]
pub(crate) struct ClearedView {
    cleared: usize,
}

pub(crate) async fn clear(
    state: State,
    Guard(Admin(admin)): Guard<Admin>,
    source: Source,
    query: Result<Query<WhoseQuery>, actix_web::Error>,
) -> Result<Json<DataView<ClearedView>>, ApiError> {
    let whose = page::read(query)?.read()?;
    let cleared = attempts::clear(&state.ops, admin.administrator, whose, source.by_admin(&admin)).await?;
    Ok(Json(DataView { data: ClearedView { cleared } }))
}
