//! The environments that the person sees, and the form for another one.

use actix_web::{HttpRequest, HttpResponse, http::StatusCode};
use askama::Template;

use super::role_in_words;
use crate::{
    domain::{page::PageRequest, text::Name},
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
        input::{body::Body, request_source::Source},
    },
    ops::environments,
};

const PATH: &str = "/console/environments";

#[derive(Template)]
#[template(path = "environments.html")]
struct EnvironmentsPage {
    layout: Layout,
    notice: String,
    errors: FormErrors,
    form: String,
    name: String,
    rows: Vec<Row>,
    next: Option<String>,
    is_first: bool,
}

struct Row {
    id: String,
    name: String,
    role: String,
    is_default: bool,
    is_current: bool,
    /// The service account that owns it. Empty if a user does.
    service_account: String,
    created: When,
}

/// `GET /console/environments`.
pub(in crate::http::console) async fn show(request: HttpRequest, person: Person) -> Result<HttpResponse, PageError> {
    let query = Fields::of_query(request.query_string());
    page(&person, StatusCode::OK, &query, FormErrors::default()).await
}

async fn page(
    person: &Person,
    status: StatusCode,
    fields: &Fields,
    errors: FormErrors,
) -> Result<HttpResponse, PageError> {
    let (texts, user) = (person.look.texts, &person.user.user);
    let cursor = fields.given("cursor").map(str::to_owned);
    let is_first = cursor.is_none();
    let found = environments::list(person.ops(), user.id, PageRequest { cursor, limit: ITEMS }).await?;
    let now = person.ops().clock.now();
    let rows = found.items.into_iter().map(|access| Row {
        id: access.environment.id.to_string(),
        name: access.environment.name.to_string(),
        role: role_in_words(texts, access.role),
        is_default: access.environment.is_default,
        is_current: access.environment.id == user.current_environment,
        service_account: access.service_account.map(|name| name.to_string()).unwrap_or_default(),
        created: When::new(texts, access.environment.created_at, now),
    });
    let known = [("deleted", "environments-deleted"), ("left", "environments-left")];
    let page = EnvironmentsPage {
        layout: Layout::of(person, &texts.say("environments-title")),
        notice: notice(texts, fields.text("done"), &known),
        form: new_form_id(now),
        name: fields.text("name").to_owned(),
        errors,
        rows: rows.collect(),
        next: found.next_cursor,
        is_first,
    };
    Ok(show_page(status, &page))
}

/// `POST /console/environments`: creates one.
pub(in crate::http::console) async fn act(
    person: Person,
    source: Source,
    body: Body,
) -> Result<HttpResponse, PageError> {
    let fields = Fields::new(body.pairs().await?);
    match create(&person, source, &fields).await {
        Ok(response) => Ok(response),
        Err(error) => {
            let (status, errors) = FormErrors::of(&person.look, error)?;
            page(&person, status, &fields, errors).await
        }
    }
}

async fn create(person: &Person, source: Source, fields: &Fields) -> Result<HttpResponse, PageError> {
    if fields.text("do") != "create" {
        return Err(unknown_action());
    }
    let mut form = ApiFields::default().text("name", fields.text("name")).form(&["name"]);
    let name = form.required("name", Name::parse);
    let name = form.finish(name)?;
    let create = async |source: Source| {
        let created = environments::create(person.ops(), person.user.user.id, name, source.by(&person.user)).await?;
        Ok(created.environment.id.uuid())
    };
    let id = once(person, source, fields, PATH, create).await?;
    Ok(see(&format!("{PATH}/{id}?done=created")))
}
