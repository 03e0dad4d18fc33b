//! The list of tokens: search, states, order, pages, and the revocation of several.

use actix_web::{HttpRequest, HttpResponse, http::StatusCode};
use askama::Template;

use super::{
    OwnerChoice, owner_choices,
    status::{Expires, Status},
};
use crate::{
    domain::{
        id::{TokenId, UserId},
        time::Timestamp,
        token::Token,
    },
    http::{
        console::{
            errors::FormErrors,
            fields::Fields,
            layout::Layout,
            page::{PageError, see, show as show_page},
            person::Person,
            sessions::ITEMS,
            texts::Texts,
            times::When,
        },
        input::{body::Body, request_source::Source},
    },
    ops::{
        owners,
        revocation::{self, BulkRevocation},
        token_search::{self, FilterTexts, SearchRequest},
    },
    store::SortTime,
};

/// From how many tokens on their number must be typed before they are revoked together.
pub(in crate::http::console) const TYPED_FROM: usize = 11;

/// How many abilities a row shows.
const SHOWN_ABILITIES: usize = 3;

#[derive(Template)]
#[template(path = "tokens.html")]
struct TokensPage {
    layout: Layout,
    notice: String,
    errors: FormErrors,
    owner: String,
    owners: Vec<OwnerChoice>,
    search: String,
    state: String,
    states: [(&'static str, String); 4],
    sort: String,
    sorts: [(&'static str, String); 5],
    rows: Vec<Row>,
    next: Option<String>,
    is_first: bool,
}

/// A token in a list.
pub(in crate::http::console) struct Row {
    pub(in crate::http::console) id: String,
    pub(in crate::http::console) name: String,
    pub(in crate::http::console) description: String,
    /// Name and description, shortened for a list: 50 of the longest names would be a large page.
    pub(in crate::http::console) short_name: String,
    pub(in crate::http::console) short_description: String,
    pub(in crate::http::console) hint: String,
    pub(in crate::http::console) abilities: Vec<String>,
    /// How many more abilities there are.
    pub(in crate::http::console) more: String,
    pub(in crate::http::console) is_full: bool,
    pub(in crate::http::console) status: Status,
    pub(in crate::http::console) used: Option<When>,
    pub(in crate::http::console) expires: Expires,
    pub(in crate::http::console) created: When,
}

impl Row {
    pub(in crate::http::console) fn new(texts: Texts, token: &Token, now: Timestamp) -> Self {
        let mut abilities: Vec<String> = token.abilities.iter().map(ToString::to_string).collect();
        let rest = abilities.len().saturating_sub(SHOWN_ABILITIES);
        abilities.truncate(SHOWN_ABILITIES);
        let description = token.annotations.as_ref().and_then(|annotations| annotations.description.as_ref());
        let description = description.map_or("", |text| text.as_str());
        Self {
            id: token.id.to_string(),
            name: token.name.to_string(),
            description: description.to_owned(),
            short_name: shortened(token.name.as_str(), 60),
            short_description: shortened(description, 80),
            hint: token.hint.to_string(),
            is_full: token.abilities.cover("*"),
            more: if rest == 0 { String::new() } else { texts.count("tokens-more-abilities", rest) },
            abilities,
            status: Status::of(texts, token, now),
            used: token.last_used_at.map(|at| When::new(texts, at, now)),
            expires: Expires::of(texts, token, now),
            created: When::new(texts, token.created_at, now),
        }
    }
}

/// The first `most` characters of a text.
fn shortened(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// The orders: their name in the address, and what they sort by.
pub(in crate::http::console) const SORTS: [(&str, &str, SortTime, bool); 5] = [
    ("newest", "tokens-sort-newest", SortTime::Created, true),
    ("oldest", "tokens-sort-oldest", SortTime::Created, false),
    ("used", "tokens-sort-used", SortTime::LastUsed, true),
    ("unused", "tokens-sort-unused", SortTime::LastUsed, false),
    ("expires", "tokens-sort-expires", SortTime::Expires, false),
];

const STATES: [(&str, &str); 4] = [
    ("active", "tokens-state-active"),
    ("expired", "tokens-state-expired"),
    ("revoked", "tokens-state-revoked"),
    ("all", "tokens-state-all"),
];

/// `GET /console/tokens`.
pub(in crate::http::console) async fn show(request: HttpRequest, person: Person) -> Result<HttpResponse, PageError> {
    let query = Fields::of_query(request.query_string());
    let texts = person.look.texts;
    let notice = match (query.text("done"), query.text("count").parse::<u64>()) {
        ("revoked", Ok(count)) => texts.count("tokens-revoked-notice", count),
        _ => String::new(),
    };
    page(&person, StatusCode::OK, &query, notice, FormErrors::default()).await
}

async fn page(
    person: &Person,
    status: StatusCode,
    fields: &Fields,
    notice: String,
    errors: FormErrors,
) -> Result<HttpResponse, PageError> {
    let texts = person.look.texts;
    let owner = owner_of(person, fields).await?;
    let state = STATES.into_iter().find(|(name, _)| *name == fields.text("state")).unwrap_or(STATES[0]).0;
    let (sort, _, by, descending) =
        SORTS.into_iter().find(|(name, ..)| *name == fields.text("sort")).unwrap_or(SORTS[0]);
    let search = fields.text("search").trim().to_owned();
    let filter = FilterTexts {
        state: Some(state.to_owned()),
        name: (!search.is_empty()).then(|| search.clone()),
        ..FilterTexts::default()
    };
    let cursor = fields.given("cursor").map(str::to_owned);
    let is_first = cursor.is_none();
    let request = SearchRequest { filter, sort: by, descending, cursor, limit: ITEMS };
    let page = token_search::search_of(person.ops(), owner, request).await?;
    let now = person.ops().clock.now();
    let rows = page.items.iter().map(|found| Row::new(texts, &found.details.token, now)).collect();
    let page = TokensPage {
        layout: Layout::of(person, &texts.say("tokens-title")),
        notice,
        errors,
        owner: if owner == person.user.user.id { String::new() } else { owner.to_string() },
        owners: owner_choices(person, owner).await?,
        search,
        state: state.to_owned(),
        states: STATES.map(|(name, text)| (name, texts.say(text))),
        sort: sort.to_owned(),
        sorts: SORTS.map(|(name, text, ..)| (name, texts.say(text))),
        rows,
        next: page.next_cursor,
        is_first,
    };
    Ok(show_page(status, &page))
}

/// The owner whose tokens the person wants to see: themselves, or a service account that they manage.
pub(super) async fn owner_of(person: &Person, fields: &Fields) -> Result<UserId, PageError> {
    let named = fields.given("owner").map(|text| UserId::parse(text).ok_or(crate::ops::Error::NotFound)).transpose()?;
    let named = named.filter(|owner| *owner != person.user.user.id);
    Ok(owners::named(person.ops(), person.user.user.id, named).await?)
}

#[derive(Template)]
#[template(path = "revoke_several.html")]
struct RevokeSeveralPage {
    layout: Layout,
    errors: FormErrors,
    owner: String,
    rows: Vec<Row>,
    count: usize,
    must_type: bool,
}

/// `POST /console/tokens`: shows the chosen tokens, and then revokes them.
pub(in crate::http::console) async fn act(
    person: Person,
    source: Source,
    body: Body,
) -> Result<HttpResponse, PageError> {
    let fields = Fields::new(body.pairs().await?);
    let texts = person.look.texts;
    let owner = owner_of(&person, &fields).await?;
    let ids: Vec<TokenId> = fields.all("token").filter_map(TokenId::parse).collect();
    if ids.is_empty() {
        let errors = FormErrors::at("token", texts.say("tokens-none-chosen"));
        return page(&person, StatusCode::UNPROCESSABLE_ENTITY, &fields, String::new(), errors).await;
    }
    let must_type = ids.len() >= TYPED_FROM;
    let is_confirmed = !must_type || fields.text("typed").trim() == ids.len().to_string();
    if fields.text("do") == "revoke" && is_confirmed {
        let these = BulkRevocation::These(ids);
        let by = source.by(&person.user);
        let revoked = revocation::revoke_many(person.ops(), owner.into(), owner, these, by).await?;
        let owner = if owner == person.user.user.id { String::new() } else { format!("&owner={owner}") };
        return Ok(see(&format!("/console/tokens?done=revoked&count={revoked}{owner}")));
    }
    let (status, errors) = match fields.text("do") {
        "revoke" => {
            let errors = FormErrors::at("typed", texts.count("tokens-type-count", ids.len()));
            (StatusCode::UNPROCESSABLE_ENTITY, errors)
        }
        _ => (StatusCode::OK, FormErrors::default()),
    };
    let now = person.ops().clock.now();
    let mut rows = Vec::with_capacity(ids.len());
    for id in &ids {
        let token = crate::ops::tokens::show(person.ops(), owner.into(), *id).await?;
        rows.push(Row::new(texts, &token, now));
    }
    let page = RevokeSeveralPage {
        layout: Layout::of(&person, &texts.count("tokens-revoke-several", rows.len())),
        errors,
        owner: owner.to_string(),
        count: rows.len(),
        rows,
        must_type,
    };
    Ok(show_page(status, &page))
}
