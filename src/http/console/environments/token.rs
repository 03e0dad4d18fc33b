//! One token of an environment.

use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web::Path};
use askama::Template;

use crate::{
    domain::{
        environment::Role,
        id::{EnvironmentId, TokenId},
        text::Name,
    },
    http::{
        annotations,
        console::{
            errors::FormErrors,
            fields::{ApiFields, Fields},
            layout::Layout,
            notices::{notice, unknown_action},
            page::{PageError, see, show as show_page},
            person::Person,
            tokens::{facts::Facts, place::Place, secret},
        },
        environments::environment_id,
        input::{body::Body, request_source::Source},
        tokens::token_id,
    },
    ops::{environment_tokens, environments},
    store::TokenChange,
};

#[derive(Template)]
#[template(path = "environment_token.html")]
struct TokenPage {
    layout: Layout,
    notice: String,
    /// The form that has mistakes.
    failed: String,
    errors: FormErrors,
    environment_id: String,
    environment: String,
    /// The path of this page.
    path: String,
    facts: Facts,
    /// What was typed, or the present name and description.
    name: String,
    description: String,
    can_change: bool,
    can_regenerate: bool,
}

const NOTICES: [(&str, &str); 2] = [("renamed", "token-renamed"), ("revoked", "token-revoked")];

/// Which token.
type Ids = (EnvironmentId, TokenId);

fn ids(path: &(String, String)) -> Result<Ids, PageError> {
    Ok((environment_id(&path.0)?, token_id(&path.1)?))
}

/// `GET /console/environments/{id}/tokens/{token_id}`.
pub(in crate::http::console) async fn show(
    request: HttpRequest,
    person: Person,
    path: Path<(String, String)>,
) -> Result<HttpResponse, PageError> {
    let query = Fields::of_query(request.query_string());
    page(&person, StatusCode::OK, ids(&path)?, &query, FormErrors::default()).await
}

async fn page(
    person: &Person,
    status: StatusCode,
    (environment, id): Ids,
    fields: &Fields,
    errors: FormErrors,
) -> Result<HttpResponse, PageError> {
    let (texts, ctx, user) = (person.look.texts, person.ops(), person.user.user.id);
    let access = environments::get(ctx, user, environment).await?;
    let token = environment_tokens::get(ctx, user, environment, id).await?;
    let base = format!("/console/environments/{environment}/tokens");
    let facts = Facts::of_environment(person, &base, &token).await?;
    let failed = if errors.any() { fields.text("do").to_owned() } else { String::new() };
    let typed = |field: &str, stored: &str| if failed == "rename" { fields.text(field) } else { stored }.to_owned();
    let can_change = access.role >= Role::Admin;
    let page = TokenPage {
        layout: Layout::of(person, token.name.as_str()),
        notice: notice(texts, fields.text("done"), &NOTICES),
        environment_id: environment.to_string(),
        environment: access.environment.name.to_string(),
        path: format!("{base}/{id}"),
        name: typed("name", &facts.row.name),
        description: typed("description", &facts.row.description),
        can_change,
        can_regenerate: can_change && !facts.has_ended && token.disabled_at.is_none() && !token.is_canary,
        facts,
        failed,
        errors,
    };
    Ok(show_page(status, &page))
}

/// `POST /console/environments/{id}/tokens/{token_id}`.
pub(in crate::http::console) async fn act(
    person: Person,
    source: Source,
    path: Path<(String, String)>,
    body: Body,
) -> Result<HttpResponse, PageError> {
    let fields = Fields::new(body.pairs().await?);
    let ids = ids(&path)?;
    match try_act(&person, source, ids, &fields).await {
        Ok(response) => Ok(response),
        Err(error) => {
            let (status, errors) = FormErrors::of(&person.look, error)?;
            page(&person, status, ids, &fields, errors).await
        }
    }
}

async fn try_act(
    person: &Person,
    source: Source,
    (environment, id): Ids,
    fields: &Fields,
) -> Result<HttpResponse, PageError> {
    let (ctx, user, by) = (person.ops(), person.user.user.id, source.by(&person.user));
    let done = |what: &str| Ok(see(&format!("/console/environments/{environment}/tokens/{id}?done={what}")));
    match fields.text("do") {
        "rename" => {
            let sent = ApiFields::default().text("name", fields.text("name"));
            let mut form = sent.text("description", fields.text("description")).form(&["name", "description"]);
            let name = form.required("name", Name::parse);
            let description = annotations::new_description(&mut form);
            let name = form.finish(name)?;
            let change = TokenChange { name: Some(name), description, metadata: None };
            environment_tokens::change(ctx, user, environment, id, change, by).await?;
            done("renamed")
        }
        "regenerate" => {
            let place = Place::of_environment(person, &environment.to_string()).await?;
            let issued = environment_tokens::regenerate(ctx, user, environment, id, None, by).await?;
            let ended = person.look.texts.say("secret-old-ended");
            Ok(secret::page(person, &issued, ended, &place))
        }
        "revoke" => {
            environment_tokens::revoke(ctx, user.into(), environment, id, by).await?;
            done("revoked")
        }
        _ => Err(unknown_action()),
    }
}
