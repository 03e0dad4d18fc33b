//! All users, and invitations.

use actix_web::{HttpRequest, HttpResponse, http::StatusCode};
use askama::Template;
use zeroize::Zeroizing;

use super::Frame;
use crate::{
    domain::{
        account::{Email, Role},
        account_state::{Account, AccountState},
        page::PageRequest,
        password_link::IssuedPasswordLink,
        text::Name,
    },
    http::{
        console::{
            errors::FormErrors,
            fields::{ApiFields, Fields},
            layout::Layout,
            notices::{notice, unknown_action},
            page::{PageError, show as show_page},
            person::Person,
            sessions::ITEMS,
            texts::Texts,
            times::When,
        },
        input::{body::Body, guard::AdminPrincipal, request_source::Source},
    },
    ops::{
        administration::{self, AccountList},
        password_links::{self, Invited},
    },
    store::UserOrder,
};

#[derive(Template)]
#[template(path = "admin_users.html")]
struct UsersPage {
    layout: Layout,
    tabs: Vec<super::Tab>,
    notice: String,
    errors: FormErrors,
    search: String,
    role: String,
    state: String,
    sort: String,
    sorts: [(&'static str, String); 3],
    /// The filter as a part of an address.
    filter: String,
    rows: Vec<Row>,
    next: Option<String>,
    is_first: bool,
    /// What was typed in the form for an invitation.
    name: String,
    email: String,
    is_new_admin: bool,
}

struct Row {
    id: String,
    name: String,
    email: String,
    is_admin: bool,
    state_class: &'static str,
    state: String,
    created: When,
}

/// The name of the state of an account, and the class of its colour.
pub(super) fn state_in_words(texts: Texts, state: AccountState) -> (&'static str, String) {
    match state {
        AccountState::Active => ("live", texts.say("status-active")),
        AccountState::Disabled => ("paused", texts.say("status-disabled")),
        AccountState::Invited => ("soon", texts.say("admin-invited")),
    }
}

const SORTS: [(&str, &str, UserOrder, bool); 3] = [
    ("-created", "tokens-sort-newest", UserOrder::Created, true),
    ("name", "admin-sort-name", UserOrder::Name, false),
    ("email", "admin-sort-email", UserOrder::Email, false),
];

/// `GET /console/admin/users`.
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
    let failed = if errors.any() { fields.text("do").to_owned() } else { String::new() };
    // The form for an invitation has fields of the same names.
    let none = Fields::of_query("");
    let (query, typed) = if failed.is_empty() { (fields, &none) } else { (&none, fields) };
    let (sort, _, order, reversed) =
        SORTS.into_iter().find(|(name, ..)| *name == query.text("sort")).unwrap_or(SORTS[0]);
    let list = AccountList {
        search: query.given("search").map(str::to_owned),
        role: query.given("role").and_then(|role| Role::parse(role).ok()),
        state: query.given("state").and_then(|state| AccountState::parse(state).ok()),
        order,
        reversed,
    };
    let filter = ["search", "role", "state", "sort"].map(|name| (name, query.text(name)));
    let cursor = query.given("cursor").map(str::to_owned);
    let is_first = cursor.is_none();
    let request = PageRequest { cursor, limit: ITEMS };
    let found = administration::accounts(ctx, admin.administrator, list, request).await?;
    let now = ctx.clock.now();
    let row = |Account { user, state }: Account| {
        let (state_class, state) = state_in_words(texts, state);
        Row {
            id: user.id.to_string(),
            name: user.name.to_string(),
            email: user.email.to_string(),
            is_admin: user.role == Role::Admin,
            state_class,
            state,
            created: When::new(texts, user.created_at, now),
        }
    };
    let Frame { layout, tabs } = Frame::of(person, &texts.say("admin-users"));
    let page = UsersPage {
        layout,
        tabs,
        notice: notice(texts, query.text("done"), &[("deleted", "admin-user-deleted")]),
        search: query.text("search").to_owned(),
        role: query.text("role").to_owned(),
        state: query.text("state").to_owned(),
        sort: sort.to_owned(),
        sorts: SORTS.map(|(name, text, ..)| (name, texts.say(text))),
        filter: serde_urlencoded::to_string(filter).unwrap_or_default(),
        rows: found.items.into_iter().map(row).collect(),
        next: found.next_cursor,
        is_first,
        name: typed.text("name").to_owned(),
        email: typed.text("email").to_owned(),
        is_new_admin: typed.text("role") == Role::Admin.as_str(),
        errors,
    };
    Ok(show_page(status, &page))
}

/// `POST /console/admin/users`: invites a user, and shows the link once.
pub(in crate::http::console) async fn act(
    person: Person,
    source: Source,
    body: Body,
) -> Result<HttpResponse, PageError> {
    let admin = person.administrator()?;
    let fields = Fields::new(body.pairs().await?);
    match invite(&person, &admin, source, &fields).await {
        Ok(response) => Ok(response),
        Err(error) => {
            let (status, errors) = FormErrors::of(&person.look, error)?;
            page(&person, &admin, status, &fields, errors).await
        }
    }
}

async fn invite(
    person: &Person,
    admin: &AdminPrincipal,
    source: Source,
    fields: &Fields,
) -> Result<HttpResponse, PageError> {
    if fields.text("do") != "invite" {
        return Err(unknown_action());
    }
    let sent = ApiFields::default().text("name", fields.text("name")).text("email", fields.text("email"));
    let mut form = sent.given("role", fields).form(&["name", "email", "role"]);
    let name = form.required("name", Name::parse);
    let email = form.required("email", Email::parse);
    let role = form.optional("role", Role::parse).unwrap_or_default();
    let new = form.finish(name.zip(email))?;
    let invited = password_links::invite(person.ops(), admin.administrator, new, role, source.by_admin(admin)).await?;
    Ok(link_page(person, StatusCode::CREATED, invited))
}

#[derive(Template)]
#[template(path = "admin_link.html")]
struct LinkPage {
    layout: Layout,
    tabs: Vec<super::Tab>,
    id: String,
    name: String,
    email: String,
    link: Zeroizing<String>,
    expires: When,
}

/// Shows a password link, once.
pub(super) fn link_page(person: &Person, status: StatusCode, invited: Invited) -> HttpResponse {
    let (texts, Invited { account, link }) = (person.look.texts, invited);
    let IssuedPasswordLink { plaintext, expires_at } = link;
    let Frame { layout, tabs } = Frame::of(person, &texts.say("admin-link-title"));
    let page = LinkPage {
        layout,
        tabs,
        id: account.user.id.to_string(),
        name: account.user.name.to_string(),
        email: account.user.email.to_string(),
        link: Zeroizing::new(format!("{}/console/set-password?token={}", person.look.url, plaintext.expose())),
        expires: When::new(texts, expires_at, person.ops().clock.now()),
    };
    show_page(status, &page)
}
