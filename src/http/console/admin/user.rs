//! One user: the account, its state, what belongs to it, and its end.

use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web::Path};
use askama::Template;

use super::{
    Frame, owner_of,
    users::{link_page, state_in_words},
};
use crate::{
    domain::{
        account::{Email, Role},
        account_state::{AccountDetails, AccountState},
        id::UserId,
        owner::OwnedItems,
        text::Name,
    },
    http::{
        admin::users::user_id,
        console::{
            errors::FormErrors,
            fields::{ApiFields, Fields},
            layout::Layout,
            notices::{notice, unknown_action},
            page::{PageError, see, show as show_page},
            person::Person,
            times::When,
        },
        input::{body::Body, guard::AdminPrincipal, request_source::Source},
    },
    ops::{
        FieldError, accounts, administration, deletion, disabling,
        owners::{self, HandOverRequest},
        password_links,
    },
    store::{AccountChange, LastAdmin, Selection},
};

#[derive(Template)]
#[template(path = "admin_user.html")]
struct UserPage {
    layout: Layout,
    tabs: Vec<super::Tab>,
    notice: String,
    /// The form that has mistakes.
    failed: String,
    errors: FormErrors,
    path: String,
    id: String,
    name: String,
    email: String,
    is_admin: bool,
    /// What was typed, or what is stored.
    new_name: String,
    new_email: String,
    new_is_admin: bool,
    transfer_to: String,
    to: String,
    state_class: &'static str,
    state: String,
    is_disabled: bool,
    created: When,
    signed_in: Option<When>,
    link_expires: Option<When>,
    sessions: u32,
    tokens: Items,
    environments: Items,
    service_accounts: Items,
}

/// Things that a user owns or manages: how many, and the first ones with their ids.
pub(super) struct Items {
    pub(super) count: u32,
    pub(super) first: Vec<(String, String)>,
    pub(super) has_more: bool,
}

impl Items {
    pub(super) fn of<Id: ToString>(owned: OwnedItems<Id>) -> Self {
        let first: Vec<_> = owned.first.into_iter().map(|(id, name)| (id.to_string(), name.to_string())).collect();
        Self { count: owned.count, has_more: first.len() < owned.count as usize, first }
    }
}

const NOTICES: [(&str, &str); 5] = [
    ("changed", "admin-changed"),
    ("disabled", "admin-disabled"),
    ("enabled", "admin-enabled"),
    ("sessions", "admin-sessions-ended"),
    ("handed-over", "admin-handed-over"),
];

/// `GET /console/admin/users/{id}`.
pub(in crate::http::console) async fn show(
    request: HttpRequest,
    person: Person,
    id: Path<String>,
) -> Result<HttpResponse, PageError> {
    let admin = person.administrator()?;
    let query = Fields::of_query(request.query_string());
    page(&person, &admin, StatusCode::OK, user_id(&id)?, &query, FormErrors::default()).await
}

async fn page(
    person: &Person,
    admin: &AdminPrincipal,
    status: StatusCode,
    id: UserId,
    fields: &Fields,
    errors: FormErrors,
) -> Result<HttpResponse, PageError> {
    let (texts, ctx) = (person.look.texts, person.ops());
    let AccountDetails { account, password_link_expires_at, last_sign_in_at, sessions, .. } =
        administration::account(ctx, admin.administrator, id).await?;
    let owned = owners::owned_by(ctx, admin.administrator, id).await?;
    let (user, now) = (account.user, ctx.clock.now());
    let when = |at| When::new(texts, at, now);
    let (state_class, state) = state_in_words(texts, account.state);
    let failed = if errors.any() { fields.text("do").to_owned() } else { String::new() };
    let typed =
        |form: &str, field: &str, stored: &str| if failed == form { fields.text(field) } else { stored }.to_owned();
    let Frame { layout, tabs } = Frame::of(person, user.name.as_str());
    let page = UserPage {
        layout,
        tabs,
        notice: notice(texts, fields.text("done"), &NOTICES),
        path: format!("/console/admin/users/{id}"),
        id: id.to_string(),
        new_name: typed("change", "name", user.name.as_str()),
        new_email: typed("change", "email", user.email.as_str()),
        new_is_admin: typed("change", "role", user.role.as_str()) == Role::Admin.as_str(),
        transfer_to: typed("delete", "transfer_to", ""),
        to: typed("hand-over", "to", ""),
        name: user.name.to_string(),
        email: user.email.to_string(),
        is_admin: user.role == Role::Admin,
        state_class,
        state,
        is_disabled: account.state == AccountState::Disabled,
        created: when(user.created_at),
        signed_in: last_sign_in_at.map(when),
        link_expires: password_link_expires_at.map(when),
        sessions,
        tokens: Items::of(owned.tokens),
        environments: Items::of(owned.environments),
        service_accounts: Items::of(owned.service_accounts),
        failed,
        errors,
    };
    Ok(show_page(status, &page))
}

/// `POST /console/admin/users/{id}`.
pub(in crate::http::console) async fn act(
    person: Person,
    source: Source,
    id: Path<String>,
    body: Body,
) -> Result<HttpResponse, PageError> {
    let admin = person.administrator()?;
    let fields = Fields::new(body.pairs().await?);
    let id = user_id(&id)?;
    match try_act(&person, &admin, source, id, &fields).await {
        Ok(response) => Ok(response),
        Err(error) => {
            let (status, errors) = FormErrors::of(&person.look, error)?;
            page(&person, &admin, status, id, &fields, errors).await
        }
    }
}

async fn try_act(
    person: &Person,
    admin: &AdminPrincipal,
    source: Source,
    id: UserId,
    fields: &Fields,
) -> Result<HttpResponse, PageError> {
    let (ctx, administrator, by) = (person.ops(), admin.administrator, source.by_admin(admin));
    let done = |what: &str| Ok(see(&format!("/console/admin/users/{id}?done={what}")));
    match fields.text("do") {
        "change" => {
            let names = ["name", "email", "role"];
            let sent = names.iter().fold(ApiFields::default(), |sent, name| sent.text(name, fields.text(name)));
            let mut form = sent.form(&["name", "email", "role"]);
            let name = form.required("name", Name::parse);
            let email = form.required("email", Email::parse_stored);
            let role = form.required("role", Role::parse);
            let (name, (email, role)) = form.finish(name.zip(email.zip(role)))?;
            // Another address is read by the stricter rules for new ones.
            let stored = administration::account(ctx, administrator, id).await?.account.user.email;
            let email = match email == stored {
                true => None,
                false => Some(Email::parse(email.as_str()).map_err(|error| FieldError::new("email", error))?),
            };
            let change = AccountChange { name: Some(name), email, role: Some(role) };
            administration::change(ctx, administrator, id, change, LastAdmin::Stays, by).await?;
            done("changed")
        }
        "disable" => {
            disabling::disable(ctx, administrator, id, None, LastAdmin::Stays, by).await?;
            done("disabled")
        }
        "enable" => {
            accounts::enable(ctx, administrator, id, by).await?;
            done("enabled")
        }
        "reset-password" => {
            let invited = password_links::reset(ctx, administrator, id, LastAdmin::Stays, by).await?;
            Ok(link_page(person, StatusCode::OK, invited))
        }
        "end-sessions" => {
            administration::end_sessions(ctx, administrator, id, by).await?;
            done("sessions")
        }
        "hand-over" => {
            let (tokens, environments) = (fields.is_ticked("tokens"), fields.is_ticked("environments"));
            if !tokens && !environments {
                let message = person.look.texts.say("admin-hand-over-what");
                return Err(FieldError { field: "tokens".to_owned(), message }.into());
            }
            let to = owner_of(person, administrator, "to", fields.text("to")).await?;
            let request = HandOverRequest {
                from: id,
                to,
                tokens: if tokens { Selection::All } else { Selection::none() },
                environments: if environments { Selection::All } else { Selection::none() },
            };
            owners::hand_over(ctx, administrator, request, by).await?;
            done("handed-over")
        }
        "delete" => {
            let email = administration::account(ctx, administrator, id).await?.account.user.email;
            if fields.text("typed").trim() != email.as_str() {
                let message = person.look.texts.with("type-name", "name", email.to_string());
                return Err(FieldError { field: "typed".to_owned(), message }.into());
            }
            let transfer_to = match fields.given("transfer_to") {
                None => None,
                Some(text) => Some(owner_of(person, administrator, "transfer_to", text).await?),
            };
            deletion::delete(ctx, administrator, id, transfer_to, LastAdmin::Stays, by).await?;
            Ok(see("/console/admin/users?done=deleted"))
        }
        _ => Err(unknown_action()),
    }
}
