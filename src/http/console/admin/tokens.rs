//! The tokens of everybody: every filter of the API in the address, and the revocation of the chosen ones or of all that a
//! filter finds.

use actix_web::{HttpRequest, HttpResponse, http::StatusCode};
use askama::Template;

use super::{Frame, page_of};
use crate::{
    domain::id::TokenId,
    http::{
        console::{
            errors::FormErrors,
            fields::Fields,
            layout::Layout,
            notices::unknown_action,
            page::{PageError, see, show as show_page},
            person::Person,
            sessions::ITEMS,
            tokens::list::{Row, SORTS, TYPED_FROM},
        },
        input::{body::Body, guard::AdminPrincipal, request_source::Source},
    },
    ops::{
        FieldError,
        token_search::{self, FilterTexts, OwnedToken, RevokedByFilter, SearchRequest},
    },
};

/// How many of the tokens that a revocation would end the preview shows.
const PREVIEWED: usize = 50;

/// A token with its owner.
struct OwnedRow {
    row: Row,
    owner: String,
    owner_page: String,
    is_of_environment: bool,
}

/// A filter that is a text, a choice or a time.
struct Filter {
    name: &'static str,
    label: String,
    value: String,
    hint: String,
    /// The values to choose from and their names. Empty for a text.
    choices: Vec<(&'static str, String)>,
}

#[derive(Template)]
#[template(path = "admin_tokens.html")]
struct TokensPage {
    layout: Layout,
    tabs: Vec<super::Tab>,
    notice: String,
    errors: FormErrors,
    filters: Vec<Filter>,
    metadata: String,
    is_filtered: bool,
    sort: String,
    sorts: [(&'static str, String); 5],
    /// The filter and the order as a part of an address.
    address: String,
    /// The filter as the hidden fields of a form.
    hidden: Vec<(&'static str, String)>,
    rows: Vec<OwnedRow>,
    next: Option<String>,
    is_first: bool,
}

/// The filters of the fields. A line of `metadata` is a key and its value.
fn filter(person: &Person, fields: &Fields) -> Result<FilterTexts, PageError> {
    let mut filter = FilterTexts::default();
    for name in FilterTexts::NAMES {
        if let Some(field) = filter.field(name) {
            *field = fields.given(name).map(str::to_owned);
        }
    }
    for line in fields.text("metadata").lines().map(str::trim).filter(|line| !line.is_empty()) {
        let Some((key, value)) = line.split_once('=') else {
            let message = person.look.texts.with("new-metadata-line", "line", line.to_owned());
            return Err(FieldError { field: "metadata".to_owned(), message }.into());
        };
        filter.metadata.push((key.trim().to_owned(), value.trim().to_owned()));
    }
    Ok(filter)
}

/// The filters and the order that are given, for an address or for hidden fields.
fn given(fields: &Fields, also: &'static [&'static str]) -> Vec<(&'static str, String)> {
    let names = FilterTexts::NAMES.iter().chain(["metadata"].iter()).chain(also);
    names.filter_map(|name| Some((*name, fields.given(name)?.to_owned()))).collect()
}

/// The fields of the form with the filters.
fn filters(person: &Person, fields: &Fields) -> Vec<Filter> {
    let texts = person.look.texts;
    let yes_or_no = || vec![("true", texts.say("yes")), ("false", texts.say("no"))];
    let filter = |name: &'static str| {
        let (label, hint, choices) = match name {
            "owner" => ("tokens-owner", "filter-owner-hint", Vec::new()),
            "environment" => ("environment", "filter-id-hint", Vec::new()),
            "service_account" => ("filter-service-account", "", yes_or_no()),
            "kind" => {
                let personal = ("personal_access_token", texts.say("filter-kind-personal"));
                ("filter-kind", "", vec![personal, ("environment_token", texts.say("filter-kind-environment"))])
            }
            "state" => {
                let names = [
                    ("active", "tokens-state-active"),
                    ("expired", "tokens-state-expired"),
                    ("revoked", "tokens-state-revoked"),
                    ("all", "tokens-state-all"),
                ];
                ("state", "", names.map(|(name, text)| (name, texts.say(text))).into())
            }
            "name" => ("name", "", Vec::new()),
            "ability" => ("filter-ability", "", Vec::new()),
            "created_after" => ("filter-created-after", "filter-time-hint", Vec::new()),
            "created_before" => ("filter-created-before", "filter-time-hint", Vec::new()),
            "expires_after" => ("filter-expires-after", "filter-time-hint", Vec::new()),
            "expires_before" => ("filter-expires-before", "filter-time-hint", Vec::new()),
            "last_used_after" => ("filter-used-after", "filter-time-hint", Vec::new()),
            "last_used_before" => ("filter-used-before", "filter-time-hint", Vec::new()),
            "unused_for" => ("filter-unused-for", "filter-duration-hint", Vec::new()),
            _ => ("new-canary", "", yes_or_no()),
        };
        Filter {
            name,
            label: texts.say(label),
            value: fields.text(name).trim().to_owned(),
            hint: if hint.is_empty() { String::new() } else { texts.say(hint) },
            choices,
        }
    };
    FilterTexts::NAMES.iter().map(|name| filter(name)).collect()
}

/// `GET /console/admin/tokens`.
pub(in crate::http::console) async fn show(request: HttpRequest, person: Person) -> Result<HttpResponse, PageError> {
    let admin = person.administrator()?;
    let query = Fields::of_query(request.query_string());
    let texts = person.look.texts;
    let notice = match (query.text("done"), query.text("count").parse::<u64>()) {
        ("revoked", Ok(count)) => texts.count("tokens-revoked-notice", count),
        _ => String::new(),
    };
    page(&person, &admin, StatusCode::OK, &query, notice, FormErrors::default()).await
}

async fn page(
    person: &Person,
    admin: &AdminPrincipal,
    status: StatusCode,
    fields: &Fields,
    notice: String,
    errors: FormErrors,
) -> Result<HttpResponse, PageError> {
    let texts = person.look.texts;
    let found = search(person, admin, fields).await;
    let (status, (rows, next), errors) = match found {
        Ok(found) => (status, found, errors),
        Err(error) => {
            let (status, errors) = FormErrors::of(&person.look, error)?;
            (status, (Vec::new(), None), errors)
        }
    };
    let hidden = given(fields, &[]);
    let Frame { layout, tabs } = Frame::of(person, &texts.say("admin-tokens"));
    let page = TokensPage {
        layout,
        tabs,
        notice,
        filters: filters(person, fields),
        errors,
        metadata: fields.text("metadata").to_owned(),
        is_filtered: !hidden.is_empty(),
        sort: fields.text("sort").to_owned(),
        sorts: SORTS.map(|(name, text, ..)| (name, texts.say(text))),
        address: serde_urlencoded::to_string(given(fields, &["sort"])).unwrap_or_default(),
        hidden,
        rows,
        next,
        is_first: fields.given("cursor").is_none(),
    };
    Ok(show_page(status, &page))
}

async fn search(
    person: &Person,
    admin: &AdminPrincipal,
    fields: &Fields,
) -> Result<(Vec<OwnedRow>, Option<String>), PageError> {
    let ctx = person.ops();
    let (_, _, sort, descending) =
        SORTS.into_iter().find(|(name, ..)| *name == fields.text("sort")).unwrap_or(SORTS[0]);
    let cursor = fields.given("cursor").map(str::to_owned);
    let request = SearchRequest { filter: filter(person, fields)?, sort, descending, cursor, limit: ITEMS };
    let found = token_search::search(ctx, admin.administrator, request).await?;
    let now = ctx.clock.now();
    let row = |OwnedToken { details, owner }: OwnedToken| OwnedRow {
        is_of_environment: details.token.environment.is_some(),
        row: Row::new(person.look.texts, &details.token, now),
        owner: owner.name().to_string(),
        owner_page: page_of(&owner),
    };
    Ok((found.items.into_iter().map(row).collect(), found.next_cursor))
}

#[derive(Template)]
#[template(path = "admin_revoke.html")]
struct RevokePage {
    layout: Layout,
    tabs: Vec<super::Tab>,
    errors: FormErrors,
    /// What is sent again: the ids, or the filter.
    hidden: Vec<(&'static str, String)>,
    /// What the button sends.
    action: &'static str,
    filter: Vec<(&'static str, String)>,
    rows: Vec<OwnedRow>,
    count: u64,
    /// How many of them a filter did not find: successors that end with their tokens.
    successors: u64,
    not_shown: u64,
    must_type: bool,
}

/// `POST /console/admin/tokens`: shows what would be revoked, and then revokes it.
pub(in crate::http::console) async fn act(
    person: Person,
    source: Source,
    body: Body,
) -> Result<HttpResponse, PageError> {
    let admin = person.administrator()?;
    let fields = Fields::new(body.pairs().await?);
    match try_act(&person, &admin, source, &fields).await {
        Ok(response) => Ok(response),
        Err(error) => {
            let (status, errors) = FormErrors::of(&person.look, error)?;
            page(&person, &admin, status, &fields, String::new(), errors).await
        }
    }
}

/// Whether the number of tokens was typed, where it must be.
fn is_confirmed(fields: &Fields, count: u64) -> bool {
    count < TYPED_FROM as u64 || fields.text("typed").trim() == count.to_string()
}

async fn try_act(
    person: &Person,
    admin: &AdminPrincipal,
    source: Source,
    fields: &Fields,
) -> Result<HttpResponse, PageError> {
    let (ctx, administrator) = (person.ops(), admin.administrator);
    let by = source.by_admin(admin);
    let action = fields.text("do");
    let done = |revoked: u64| see(&format!("/console/admin/tokens?done=revoked&count={revoked}"));
    match action {
        "choose" | "revoke" => {
            let ids: Vec<TokenId> = fields.all("token").filter_map(TokenId::parse).collect();
            if ids.is_empty() {
                let message = person.look.texts.say("tokens-none-chosen");
                return Err(FieldError { field: "token".to_owned(), message }.into());
            }
            let count = ids.len() as u64;
            if action == "revoke" && is_confirmed(fields, count) {
                return Ok(done(token_search::revoke_these(ctx, administrator, &ids, by).await?));
            }
            let hidden = ids.iter().map(|id| ("token", id.to_string())).collect();
            preview(person, admin, fields, "revoke", hidden, &ids, (count, 0)).await
        }
        "choose-all" | "revoke-all" => {
            // Others have ended already.
            let filter = FilterTexts { state: None, ..filter(person, fields)? };
            let all = filter.is_empty();
            let found = token_search::revoke(ctx, administrator, &filter, all, true, by.clone()).await?;
            let RevokedByFilter { matching, successors, ids, .. } = found;
            let count = matching + successors;
            if action == "revoke-all" && is_confirmed(fields, count) {
                let ended = token_search::revoke(ctx, administrator, &filter, all, false, by).await?;
                return Ok(done(ended.revoked));
            }
            let hidden = given(fields, &[]).into_iter().filter(|(name, _)| *name != "state").collect();
            preview(person, admin, fields, "revoke-all", hidden, &ids, (count, successors)).await
        }
        _ => Err(unknown_action()),
    }
}

/// Shows what would be revoked: so many tokens, and so many of them successors.
async fn preview(
    person: &Person,
    admin: &AdminPrincipal,
    fields: &Fields,
    action: &'static str,
    hidden: Vec<(&'static str, String)>,
    ids: &[TokenId],
    (count, successors): (u64, u64),
) -> Result<HttpResponse, PageError> {
    let (texts, ctx) = (person.look.texts, person.ops());
    let (status, errors) = match fields.text("do") == action {
        false => (StatusCode::OK, FormErrors::default()),
        true => {
            let errors = FormErrors::at("typed", texts.count("tokens-type-count", count));
            (StatusCode::UNPROCESSABLE_ENTITY, errors)
        }
    };
    let now = ctx.clock.now();
    let mut rows = Vec::new();
    for id in &ids[..ids.len().min(PREVIEWED)] {
        let (token, owner) = token_search::show(ctx, admin.administrator, *id).await?;
        let (is_of_environment, row) = (token.environment.is_some(), Row::new(texts, &token, now));
        rows.push(OwnedRow { is_of_environment, row, owner: owner.name().to_string(), owner_page: page_of(&owner) });
    }
    let Frame { layout, tabs } = Frame::of(person, &texts.count("tokens-revoke-several", count));
    let filter = hidden.iter().filter(|(name, _)| *name != "token").cloned().collect();
    let page = RevokePage {
        layout,
        tabs,
        errors,
        hidden,
        action,
        filter,
        not_shown: count - rows.len() as u64,
        rows,
        count,
        successors,
        must_type: count >= TYPED_FROM as u64,
    };
    Ok(show_page(status, &page))
}
