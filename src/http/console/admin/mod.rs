//! The pages of administrators: everybody's accounts and tokens, the audit trail, the nodes and leaked secrets. Each handler
//! takes the power from [`Person::administrator`], so everybody else gets 403.

pub(super) mod audit;
pub(super) mod leaks;
pub(super) mod nodes;
pub(super) mod service_account;
pub(super) mod service_accounts;
pub(super) mod token;
pub(super) mod tokens;
pub(super) mod user;
pub(super) mod users;

use actix_web::HttpResponse;

use super::{
    layout::Layout,
    page::{PageError, see},
    person::Person,
};
use crate::{
    domain::{authority::Administrator, id::UserId, owner::Owner},
    http::input::guard::AdminPrincipal,
    ops::{self, FieldError, accounts, owners},
};

/// `GET /console/admin`: leads to the users.
pub(in crate::http::console) async fn start(person: Person) -> Result<HttpResponse, PageError> {
    person.administrator()?;
    Ok(see("/console/admin/users"))
}

/// The tabs of administration.
struct Tab {
    path: &'static str,
    label: String,
    current: &'static str,
}

/// What every page of administration has around its content.
pub(super) struct Frame {
    pub(super) layout: Layout,
    tabs: Vec<Tab>,
}

impl Frame {
    fn of(person: &Person, title: &str) -> Self {
        let (layout, texts) = (Layout::of(person, title), person.look.texts);
        let tab = |path: &'static str, label: String| Tab { current: layout.current(path), path, label };
        let tabs = vec![
            tab("/console/admin/users", texts.say("admin-users")),
            tab("/console/admin/service-accounts", texts.say("admin-services")),
            tab("/console/admin/tokens", texts.say("admin-tokens")),
            tab("/console/admin/audit", texts.say("admin-audit")),
            tab("/console/admin/nodes", texts.say("admin-nodes")),
            tab("/console/admin/leaks", texts.say("admin-leaks")),
        ];
        Self { layout, tabs }
    }
}

/// The page of an owner.
fn page_of(owner: &Owner) -> String {
    match owner {
        Owner::User(user) => format!("/console/admin/users/{}", user.id),
        Owner::ServiceAccount(account) => format!("/console/admin/service-accounts/{}", account.id),
    }
}

/// The user whose id or address is typed into `field`.
async fn user_of(
    person: &Person,
    admin: &AdminPrincipal,
    field: &'static str,
    text: &str,
) -> Result<UserId, PageError> {
    match accounts::find(person.ops(), admin.administrator, text.trim()).await {
        Ok(user) => Ok(user.id),
        Err(ops::Error::NotFound) => {
            Err(FieldError::new(field, "must be the id or the e-mail address of a user.").into())
        }
        Err(error) => Err(error.into()),
    }
}

/// The user or service account whose id, or a user whose address, is typed into `field`.
async fn owner_of(
    person: &Person,
    administrator: Administrator,
    field: &'static str,
    text: &str,
) -> Result<UserId, PageError> {
    let found = match UserId::parse(text.trim()) {
        Some(id) => owners::find(person.ops(), administrator, id).await.map(|owner| owner.id()),
        None => accounts::find(person.ops(), administrator, text.trim()).await.map(|user| user.id),
    };
    match found {
        Ok(id) => Ok(id),
        Err(ops::Error::NotFound) => {
            let predicate = "must be the id of a user or of a service account, or the e-mail address of a user.";
            Err(FieldError::new(field, predicate).into())
        }
        Err(error) => Err(error.into()),
    }
}
