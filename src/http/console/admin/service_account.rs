//! One service account: its name, its managers, its state and its end.

use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web::Path};
use askama::Template;

use super::{Frame, user::Items, user_of};
use crate::{
    domain::{annotations::Description, id::UserId, owner::ServiceAccountDetails, text::Name},
    http::{
        admin::users::user_id,
        annotations::new_description,
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
    ops::{FieldError, owners, service_accounts},
    store::ServiceAccountChange,
};

#[derive(Template)]
#[template(path = "admin_service_account.html")]
struct ServiceAccountPage {
    layout: Layout,
    tabs: Vec<super::Tab>,
    notice: String,
    /// The form that has mistakes.
    failed: String,
    errors: FormErrors,
    path: String,
    id: String,
    name: String,
    description: String,
    /// What was typed, or what is stored.
    new_name: String,
    new_description: String,
    manager: String,
    disabled: Option<When>,
    created: When,
    managers: Vec<ManagerRow>,
    /// Whether the person can make tokens for it.
    is_managed: bool,
    tokens: Items,
    environments: Items,
}

struct ManagerRow {
    id: String,
    name: String,
    since: When,
}

const NOTICES: [(&str, &str); 6] = [
    ("created", "admin-service-created"),
    ("changed", "admin-changed"),
    ("disabled", "admin-disabled"),
    ("enabled", "admin-enabled"),
    ("manager", "admin-manager-added"),
    ("removed", "admin-manager-removed"),
];

/// `GET /console/admin/service-accounts/{id}`.
pub(in crate::http::console) async fn show(
    request: HttpRequest,
    person: Person,
    id: Path<String>,
) -> Result<HttpResponse, PageError> {
    let admin = person.administrator()?;
    let query = Fields::of_query(request.query_string());
    page(&person, &admin, StatusCode::OK, user_id(&id)?, &query, FormErrors::default()).await
}

fn text_of(description: Option<Description>) -> String {
    description.map(|text| text.as_str().to_owned()).unwrap_or_default()
}

async fn page(
    person: &Person,
    admin: &AdminPrincipal,
    status: StatusCode,
    id: UserId,
    fields: &Fields,
    errors: FormErrors,
) -> Result<HttpResponse, PageError> {
    let (texts, ctx, administrator) = (person.look.texts, person.ops(), admin.administrator);
    let ServiceAccountDetails { account, description, managers } =
        service_accounts::get(ctx, administrator.into(), id).await?;
    let owned = owners::owned_by(ctx, administrator, id).await?;
    let now = ctx.clock.now();
    let when = |at| When::new(texts, at, now);
    let failed = if errors.any() { fields.text("do").to_owned() } else { String::new() };
    let typed =
        |form: &str, field: &str, stored: &str| if failed == form { fields.text(field) } else { stored }.to_owned();
    let description = text_of(description);
    let Frame { layout, tabs } = Frame::of(person, account.name.as_str());
    let page = ServiceAccountPage {
        layout,
        tabs,
        notice: notice(texts, fields.text("done"), &NOTICES),
        path: format!("/console/admin/service-accounts/{id}"),
        id: id.to_string(),
        new_name: typed("change", "name", account.name.as_str()),
        new_description: typed("change", "description", &description),
        manager: typed("add-manager", "manager", ""),
        name: account.name.to_string(),
        description,
        disabled: account.disabled_at.map(when),
        created: when(account.created_at),
        is_managed: managers.iter().any(|manager| manager.user == person.user.user.id),
        managers: managers
            .into_iter()
            .map(|manager| ManagerRow {
                id: manager.user.to_string(),
                name: manager.name.to_string(),
                since: when(manager.created_at),
            })
            .collect(),
        tokens: Items::of(owned.tokens),
        environments: Items::of(owned.environments),
        failed,
        errors,
    };
    Ok(show_page(status, &page))
}

/// `POST /console/admin/service-accounts/{id}`.
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
    let done = |what: &str| Ok(see(&format!("/console/admin/service-accounts/{id}?done={what}")));
    match fields.text("do") {
        "change" => {
            let sent = ApiFields::default().text("name", fields.text("name"));
            let mut form = sent.text("description", fields.text("description")).form(&["name", "description"]);
            let name = form.required("name", Name::parse);
            let description = new_description(&mut form);
            let change = ServiceAccountChange { name: Some(form.finish(name)?), description };
            service_accounts::update(ctx, administrator.into(), id, change, by).await?;
            done("changed")
        }
        "add-manager" => {
            let user = user_of(person, admin, "manager", fields.text("manager")).await?;
            service_accounts::add_manager(ctx, administrator, id, user, by).await?;
            done("manager")
        }
        "remove-manager" => {
            service_accounts::remove_manager(ctx, administrator, id, user_id(fields.text("user_id"))?, by).await?;
            done("removed")
        }
        "disable" => {
            service_accounts::disable(ctx, administrator, id, by).await?;
            done("disabled")
        }
        "enable" => {
            service_accounts::enable(ctx, administrator, id, by).await?;
            done("enabled")
        }
        "delete" => {
            let name = service_accounts::get(ctx, administrator.into(), id).await?.account.name;
            if fields.text("typed").trim() != name.as_str() {
                let message = person.look.texts.with("type-name", "name", name.to_string());
                return Err(FieldError { field: "typed".to_owned(), message }.into());
            }
            service_accounts::delete(ctx, administrator, id, by).await?;
            Ok(see("/console/admin/service-accounts?done=deleted"))
        }
        _ => Err(unknown_action()),
    }
}
