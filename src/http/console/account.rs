//! The account of the person: name, address, password, export, and its end.

use actix_web::{HttpRequest, HttpResponse, http::StatusCode};
use askama::Template;

use super::{
    errors::FormErrors,
    fields::{ApiFields, Fields},
    layout::Layout,
    page::{PageError, see, show as show_page},
    person::Person,
    sign_in,
    times::When,
};
use crate::{
    domain::{
        account::{Email, Password},
        text::Name,
    },
    http::{
        error::ApiError,
        export as export_of,
        input::{body::Body, request_source::Source},
    },
    ops::{
        accounts, deletion,
        profile::{self, ProfileUpdate},
    },
};

#[derive(Template)]
#[template(path = "account.html")]
struct AccountPage {
    layout: Layout,
    notice: String,
    /// The form that has mistakes.
    failed: String,
    errors: FormErrors,
    id: String,
    name: String,
    email: String,
    created: When,
    can_change_email: bool,
    min_length: String,
}

fn page(person: &Person, status: StatusCode, done: &str, fields: &Fields, errors: FormErrors) -> HttpResponse {
    let (texts, user, ops) = (person.look.texts, &person.user.user, person.ops());
    let failed = if errors.any() { fields.text("do").to_owned() } else { String::new() };
    // What was typed stays in the form that has mistakes.
    let typed = |form: &str, field: &str, stored: String| match failed == form {
        true => fields.text(field).to_owned(),
        false => stored,
    };
    let notice = match done {
        "renamed" => texts.say("account-renamed"),
        "email" => texts.say("account-email-changed"),
        "password" => texts.say("account-password-changed"),
        _ => String::new(),
    };
    let page = AccountPage {
        layout: Layout::of(person, &texts.say("account-title")),
        notice,
        id: user.id.to_string(),
        name: typed("rename", "name", user.name.to_string()),
        email: typed("email", "email", user.email.to_string()),
        created: When::new(texts, user.created_at, ops.clock.now()),
        can_change_email: ops.rules.email_change,
        min_length: texts.count("password-length", ops.min_password_length()),
        failed,
        errors,
    };
    show_page(status, &page)
}

/// `GET /console/account`.
pub(super) async fn show(request: HttpRequest, person: Person) -> Result<HttpResponse, PageError> {
    let query = Fields::of_query(request.query_string());
    Ok(page(&person, StatusCode::OK, query.text("done"), &query, FormErrors::default()))
}

/// `GET /console/account/export`: all that is stored about the person.
pub(super) async fn export(request: HttpRequest, person: Person) -> Result<HttpResponse, PageError> {
    let (state, user) = (person.look.state.clone(), person.user.user.id);
    Ok(export_of::answer(&request, state, user, person.credential.to_string()).await?)
}

/// `POST /console/account`.
pub(super) async fn act(person: Person, source: Source, body: Body) -> Result<HttpResponse, PageError> {
    let fields = Fields::new(body.pairs().await?);
    match try_act(&person, source, &fields).await {
        Ok(response) => Ok(response),
        Err(error) => {
            let (status, errors) = FormErrors::of(&person.look, error)?;
            Ok(page(&person, status, "", &fields, errors))
        }
    }
}

async fn try_act(person: &Person, source: Source, fields: &Fields) -> Result<HttpResponse, PageError> {
    let (ops, session, client) = (person.ops(), &person.user.session, source.address);
    let by = source.by(&person.user);
    let sent =
        |names: &[&str]| names.iter().fold(ApiFields::default(), |sent, name| sent.text(name, fields.text(name)));
    match fields.text("do") {
        "rename" => {
            let mut form = sent(&["name"]).form(&["name"]);
            let name = form.required("name", Name::parse);
            let change = ProfileUpdate { name: Some(form.finish(name)?), ..ProfileUpdate::default() };
            profile::update(ops, session, client, change, by).await?;
            Ok(see("/console/account?done=renamed"))
        }
        "email" => {
            let mut form = sent(&["email", "current_password"]).form(&["email", "current_password"]);
            let email = form.required("email", Email::parse);
            let current = form.required("current_password", Password::parse);
            let (email, current) = form.finish(email.zip(current))?;
            let change = ProfileUpdate { name: None, email: Some(email), current_password: Some(current) };
            profile::update(ops, session, client, change, by).await?;
            Ok(see("/console/account?done=email"))
        }
        "password" => {
            let mut form = sent(&["current_password", "password"]).form(&["current_password", "password"]);
            let current = form.required("current_password", Password::parse);
            let new = form.required("password", Password::parse);
            let (current, new) = form.finish(current.zip(new))?;
            accounts::change_password(ops, session, client, current, new, by).await?;
            Ok(see("/console/account?done=password"))
        }
        "delete" => {
            let mut form = sent(&["current_password"]).form(&["current_password"]);
            let current = form.required("current_password", Password::parse);
            let current = form.finish(current)?;
            deletion::delete_own(ops, session, client, current, by).await?;
            Ok(sign_in::forgotten(&person.look, "deleted"))
        }
        _ => Err(ApiError::Malformed("The form does not say what to do.".to_owned()).into()),
    }
}
