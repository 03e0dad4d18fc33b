//! One token of anybody.

use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web::Path};
use askama::Template;

use super::{Frame, page_of};
use crate::{
    domain::id::TokenId,
    http::{
        console::{
            errors::FormErrors,
            fields::Fields,
            layout::Layout,
            notices::{notice, unknown_action},
            page::{PageError, see, show as show_page},
            person::Person,
            tokens::facts::Facts,
        },
        input::{body::Body, guard::AdminPrincipal, request_source::Source},
        tokens::token_id,
    },
    ops::{revocation, token_report, token_search},
};

#[derive(Template)]
#[template(path = "admin_token.html")]
struct TokenPage {
    layout: Layout,
    tabs: Vec<super::Tab>,
    notice: String,
    errors: FormErrors,
    path: String,
    facts: Facts,
    kind: String,
    owner: String,
    owner_page: String,
    /// The id of the environment. Empty for a personal token.
    environment: String,
}

const NOTICES: [(&str, &str); 3] =
    [("disabled", "token-disabled"), ("enabled", "token-enabled"), ("revoked", "token-revoked")];

/// `GET /console/admin/tokens/{id}`.
pub(in crate::http::console) async fn show(
    request: HttpRequest,
    person: Person,
    id: Path<String>,
) -> Result<HttpResponse, PageError> {
    let admin = person.administrator()?;
    let query = Fields::of_query(request.query_string());
    page(&person, &admin, StatusCode::OK, token_id(&id)?, &query, FormErrors::default()).await
}

async fn page(
    person: &Person,
    admin: &AdminPrincipal,
    status: StatusCode,
    id: TokenId,
    query: &Fields,
    errors: FormErrors,
) -> Result<HttpResponse, PageError> {
    let (texts, ctx) = (person.look.texts, person.ops());
    let (token, owner) = token_search::show(ctx, admin.administrator, id).await?;
    let (kind, environment) = (token.kind(), token.environment);
    let report = token_report::report(ctx, admin.administrator.into(), token).await?;
    let facts = Facts::of_report(person, "/console/admin/tokens", report);
    let Frame { layout, tabs } = Frame::of(person, &facts.row.name);
    let page = TokenPage {
        layout,
        tabs,
        notice: notice(texts, query.text("done"), &NOTICES),
        errors,
        path: format!("/console/admin/tokens/{id}"),
        facts: Facts { owner: String::new(), ..facts },
        kind: kind.as_str().replace('_', " "),
        owner: owner.name().to_string(),
        owner_page: page_of(&owner),
        environment: environment.map(|id| id.to_string()).unwrap_or_default(),
    };
    Ok(show_page(status, &page))
}

/// `POST /console/admin/tokens/{id}`.
pub(in crate::http::console) async fn act(
    person: Person,
    source: Source,
    id: Path<String>,
    body: Body,
) -> Result<HttpResponse, PageError> {
    let admin = person.administrator()?;
    let fields = Fields::new(body.pairs().await?);
    let id = token_id(&id)?;
    match try_act(&person, &admin, source, id, fields.text("do")).await {
        Ok(done) => Ok(see(&format!("/console/admin/tokens/{id}?done={done}"))),
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
    id: TokenId,
    action: &str,
) -> Result<&'static str, PageError> {
    let (ctx, authority, by) = (person.ops(), admin.administrator.into(), source.by_admin(admin));
    match action {
        "disable" => {
            revocation::disable(ctx, authority, id, by).await?;
            Ok("disabled")
        }
        "enable" => {
            revocation::enable(ctx, authority, id, by).await?;
            Ok("enabled")
        }
        "revoke" => {
            revocation::revoke(ctx, authority, id, by).await?;
            Ok("revoked")
        }
        _ => Err(unknown_action()),
    }
}
