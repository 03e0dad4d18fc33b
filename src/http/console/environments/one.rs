//! One environment: its name, its members and its tokens.

use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web::Path};
use askama::Template;

use super::role_in_words;
use crate::{
    domain::{
        annotations::Metadata,
        environment::{EnvironmentAccess, Member, MemberRole, Role},
        id::{EnvironmentId, UserId},
        text::Name,
        token::TokenState,
    },
    http::{
        console::{
            errors::FormErrors,
            fields::{ApiFields, Fields},
            layout::Layout,
            notices::{notice, unknown_action},
            page::{PageError, see, show as show_page},
            person::Person,
            sessions::ITEMS,
            times::When,
            tokens::list::Row,
        },
        environments::environment_id,
        input::{body::Body, request_source::Source},
    },
    ops::{
        self, FieldError, environment_tokens,
        environments::{self, members},
        tokens::ListRequest,
    },
};

#[derive(Template)]
#[template(path = "environment.html")]
struct EnvironmentPage {
    layout: Layout,
    notice: String,
    /// The form that has mistakes.
    failed: String,
    errors: FormErrors,
    path: String,
    id: String,
    name: String,
    /// What was typed, or the present name.
    new_name: String,
    role: String,
    service_account: String,
    created: When,
    is_default: bool,
    is_current: bool,
    is_owner: bool,
    can_make_tokens: bool,
    can_leave: bool,
    members: Vec<MemberRow>,
    /// What was typed in the form for another member.
    user_id: String,
    search: String,
    state: String,
    states: [(&'static str, String); 3],
    /// The filter as a part of an address.
    filter: String,
    tokens: Vec<Row>,
    next: Option<String>,
    is_first: bool,
}

struct MemberRow {
    id: String,
    name: String,
    is_admin: bool,
    since: When,
}

const STATES: [(&str, &str, TokenState); 3] = [
    ("active", "tokens-state-active", TokenState::Active),
    ("expired", "tokens-state-expired", TokenState::Expired),
    ("revoked", "tokens-state-revoked", TokenState::Revoked),
];

const NOTICES: [(&str, &str); 5] = [
    ("created", "environments-created"),
    ("renamed", "environments-renamed"),
    ("current", "environments-now-current"),
    ("member", "environments-member-set"),
    ("removed", "environments-member-removed"),
];

/// `GET /console/environments/{id}`.
pub(in crate::http::console) async fn show(
    request: HttpRequest,
    person: Person,
    id: Path<String>,
) -> Result<HttpResponse, PageError> {
    let query = Fields::of_query(request.query_string());
    page(&person, StatusCode::OK, environment_id(&id)?, &query, FormErrors::default()).await
}

async fn page(
    person: &Person,
    status: StatusCode,
    id: EnvironmentId,
    fields: &Fields,
    errors: FormErrors,
) -> Result<HttpResponse, PageError> {
    let (texts, ctx, user) = (person.look.texts, person.ops(), &person.user.user);
    let EnvironmentAccess { environment, role, service_account } = environments::get(ctx, user.id, id).await?;
    let (state, _, by_state) = STATES.into_iter().find(|(name, ..)| *name == fields.text("state")).unwrap_or(STATES[0]);
    let search = fields.text("search").trim().to_owned();
    let cursor = fields.given("cursor").map(str::to_owned);
    let is_first = cursor.is_none();
    let request = ListRequest {
        search: (!search.is_empty()).then(|| search.clone()),
        metadata: Metadata::default(),
        state: Some(by_state),
        cursor,
        limit: ITEMS,
    };
    let found = environment_tokens::list(ctx, user.id, id, request).await?;
    let is_owner = role == Role::Owner;
    let shared_with = if is_owner { members(ctx, user.id, id).await? } else { Vec::new() };
    let now = ctx.clock.now();
    let failed = if errors.any() { fields.text("do").to_owned() } else { String::new() };
    let typed =
        |form: &str, field: &str, stored: &str| if failed == form { fields.text(field) } else { stored }.to_owned();
    let member = |member: Member| MemberRow {
        id: member.user.to_string(),
        name: member.name.to_string(),
        is_admin: member.role == MemberRole::Admin,
        since: When::new(texts, member.created_at, now),
    };
    let filter = [("state", state), ("search", &search)];
    let page = EnvironmentPage {
        layout: Layout::of(person, environment.name.as_str()),
        notice: notice(texts, fields.text("done"), &NOTICES),
        path: format!("/console/environments/{id}"),
        id: id.to_string(),
        new_name: typed("rename", "name", environment.name.as_str()),
        name: environment.name.to_string(),
        role: role_in_words(texts, role),
        service_account: service_account.map(|name| name.to_string()).unwrap_or_default(),
        created: When::new(texts, environment.created_at, now),
        is_default: environment.is_default,
        is_current: user.current_environment == id,
        is_owner,
        can_make_tokens: role >= Role::Admin,
        can_leave: !is_owner,
        members: shared_with.into_iter().map(member).collect(),
        user_id: typed("add-member", "user_id", ""),
        failed,
        errors,
        search: search.clone(),
        state: state.to_owned(),
        states: STATES.map(|(name, text, _)| (name, texts.say(text))),
        filter: serde_urlencoded::to_string(filter).unwrap_or_default(),
        tokens: found.items.iter().map(|token| Row::new(texts, token, now)).collect(),
        next: found.next_cursor,
        is_first,
    };
    Ok(show_page(status, &page))
}

/// `POST /console/environments/{id}`.
pub(in crate::http::console) async fn act(
    person: Person,
    source: Source,
    id: Path<String>,
    body: Body,
) -> Result<HttpResponse, PageError> {
    let fields = Fields::new(body.pairs().await?);
    let id = environment_id(&id)?;
    match try_act(&person, source, id, &fields).await {
        Ok(response) => Ok(response),
        Err(error) => {
            let (status, errors) = FormErrors::of(&person.look, error)?;
            page(&person, status, id, &fields, errors).await
        }
    }
}

async fn try_act(
    person: &Person,
    source: Source,
    id: EnvironmentId,
    fields: &Fields,
) -> Result<HttpResponse, PageError> {
    let (ctx, user, by) = (person.ops(), person.user.user.id, source.by(&person.user));
    let done = |what: &str| Ok(see(&format!("/console/environments/{id}?done={what}")));
    match fields.text("do") {
        "rename" => {
            let mut form = ApiFields::default().text("name", fields.text("name")).form(&["name"]);
            let name = form.required("name", Name::parse);
            environments::rename(ctx, user, id, form.finish(name)?, by).await?;
            done("renamed")
        }
        "current" => {
            environments::set_current(ctx, user, id, by).await?;
            done("current")
        }
        "delete" => {
            let name = environments::get(ctx, user, id).await?.environment.name;
            if fields.text("typed").trim() != name.as_str() {
                let message = person.look.texts.with("type-name", "name", name.to_string());
                return Err(FieldError { field: "typed".to_owned(), message }.into());
            }
            environments::delete(ctx, user, id, by).await?;
            Ok(see("/console/environments?done=deleted"))
        }
        "add-member" | "set-role" => {
            let sent = ApiFields::default().text("user_id", fields.text("user_id")).text("role", fields.text("role"));
            let mut form = sent.form(&["user_id", "role"]);
            let member = form.required("user_id", |text| UserId::parse(text.trim()).ok_or("must be the id of a user."));
            let role = form.required("role", MemberRole::parse);
            let (member, role) = form.finish(member.zip(role))?;
            match environments::set_member(ctx, user, id, member, role, by).await {
                Ok(_) => done("member"),
                // The environment exists, or this page would not.
                Err(ops::Error::NotFound) => {
                    environments::get(ctx, user, id).await?;
                    Err(FieldError::new("user_id", "must be the id of a user.").into())
                }
                Err(error) => Err(error.into()),
            }
        }
        "remove-member" => {
            let member = UserId::parse(fields.text("user_id")).ok_or(ops::Error::NotFound)?;
            environments::remove_member(ctx, user, id, member, by).await?;
            done("removed")
        }
        "leave" => {
            environments::remove_member(ctx, user, id, user, by).await?;
            Ok(see("/console/environments?done=left"))
        }
        _ => Err(unknown_action()),
    }
}
