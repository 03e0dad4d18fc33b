//! All service accounts, and the form for another one.

use actix_web::{HttpRequest, HttpResponse, http::StatusCode};
use askama::Template;

use super::{Frame, user_of};
use crate::{
    domain::{annotations::Description, owner::ServiceAccountDetails, page::PageRequest, text::Name},
    http::{
        console::{
            errors::FormErrors,
            fields::{ApiFields, Fields, new_form_id},
            layout::Layout,
            notices::{notice, unknown_action},
            once::once,
            page::{PageError, see, show as show_page},
            person::Person,
            sessions::ITEMS,
            times::When,
        },
        input::{body::Body, guard::AdminPrincipal, request_source::Source},
    },
    ops::service_accounts::{self, ServiceAccountRequest},
};

const PATH: &str = "/console/admin/service-accounts";

#[derive(Template)]
#[template(path = "admin_service_accounts.html")]
struct ServiceAccountsPage {
    layout: Layout,
    tabs: Vec<super::Tab>,
    notice: String,
    errors: FormErrors,
    search: String,
    rows: Vec<Row>,
    next: Option<String>,
    is_first: bool,
    form: String,
    /// What was typed in the form for another one.
    name: String,
    description: String,
    managers: String,
}

struct Row {
    id: String,
    name: String,
    description: String,
    managers: Vec<String>,
    is_disabled: bool,
    created: When,
}

/// `GET /console/admin/service-accounts`.
pub(in crate::http::console) async fn show(request: HttpRequest, person: Person) -> Result<HttpResponse, PageError> {
    let admin = person.administrator()?;
    let query = Fields::of_query(request.query_string());
    page(&person, &admin, StatusCode::OK, &query, FormErrors::default()).await
}

async fn page(
    person: &Person,
    admin: &AdminPrincipal,
    status: StatusCode,
    fields: &Fields,
    errors: FormErrors,
) -> Result<HttpResponse, PageError> {
    let (texts, ctx) = (person.look.texts, person.ops());
    let search = fields.text("search").trim().to_owned();
    let cursor = fields.given("cursor").map(str::to_owned);
    let is_first = cursor.is_none();
    let wanted = (!search.is_empty()).then(|| search.clone());
    let request = PageRequest { cursor, limit: ITEMS };
    let found = service_accounts::list(ctx, admin.administrator.into(), wanted, request).await?;
    let now = ctx.clock.now();
    let row = |ServiceAccountDetails { account, description, managers }| Row {
        id: account.id.to_string(),
        name: account.name.to_string(),
        description: description.map(|text: Description| text.as_str().to_owned()).unwrap_or_default(),
        managers: managers.into_iter().map(|manager| manager.name.to_string()).collect(),
        is_disabled: account.disabled_at.is_some(),
        created: When::new(texts, account.created_at, now),
    };
    let Frame { layout, tabs } = Frame::of(person, &texts.say("admin-services"));
    let page = ServiceAccountsPage {
        layout,
        tabs,
        notice: notice(texts, fields.text("done"), &[("deleted", "admin-service-deleted")]),
        errors,
        search,
        rows: found.items.into_iter().map(row).collect(),
        next: found.next_cursor,
        is_first,
        form: new_form_id(now),
        name: fields.text("name").to_owned(),
        description: fields.text("description").to_owned(),
        managers: fields.text("managers").to_owned(),
    };
    Ok(show_page(status, &page))
}

/// `POST /console/admin/service-accounts`: creates one.
pub(in crate::http::console) async fn act(
    person: Person,
    source: Source,
    body: Body,
) -> Result<HttpResponse, PageError> {
    let admin = person.administrator()?;
    let fields = Fields::new(body.pairs().await?);
    match create(&person, &admin, source, &fields).await {
        Ok(response) => Ok(response),
        Err(error) => {
            let (status, errors) = FormErrors::of(&person.look, error)?;
            page(&person, &admin, status, &fields, errors).await
        }
    }
}

async fn create(
    person: &Person,
    admin: &AdminPrincipal,
    source: Source,
    fields: &Fields,
) -> Result<HttpResponse, PageError> {
    if fields.text("do") != "create" {
        return Err(unknown_action());
    }
    let sent = ApiFields::default().text("name", fields.text("name")).given("description", fields);
    let mut form = sent.form(&["name", "description"]);
    let name = form.required("name", Name::parse);
    let description = form.optional("description", Description::parse_optional).flatten();
    let name = form.finish(name)?;
    let mut managers = Vec::new();
    for text in fields.words("managers") {
        managers.push(user_of(person, admin, "managers", &text).await?);
    }
    let request = ServiceAccountRequest { id: None, name, description, managers };
    let create = async |source: Source| {
        let by = source.by_admin(admin);
        Ok(service_accounts::create(person.ops(), admin.administrator, request, by).await?.account.id.uuid())
    };
    let id = once(person, source, fields, PATH, create).await?;
    Ok(see(&format!("{PATH}/{id}?done=created")))
}
