//! The leak desk: an administrator pastes secrets, and reads what ended.

use actix_web::{HttpResponse, http::StatusCode};
use askama::Template;
use zeroize::Zeroizing;

use super::{Frame, page_of};
use crate::{
    http::{
        console::{
            errors::FormErrors,
            fields::Fields,
            layout::Layout,
            page::{PageError, show as show_page},
            person::Person,
            texts::Texts,
        },
        input::{
            body::Body,
            guard::AdminPrincipal,
            request_source::{ClientAgent, Source},
        },
        revocation::{MAX_REPORTED, REPORT_SIZE},
    },
    ops::leak_desk::{self, LeakEnding, LeakedToken},
};

#[derive(Template)]
#[template(path = "admin_leaks.html")]
struct LeaksPage {
    layout: Layout,
    tabs: Vec<super::Tab>,
    errors: FormErrors,
    /// What was typed, if it has a mistake.
    secrets: Zeroizing<String>,
    report: Option<Report>,
}

struct Report {
    read: String,
    unknown: String,
    tokens: Vec<TokenRow>,
    /// The names of the users whose sessions ended, and their pages.
    sessions: Vec<(String, String)>,
}

struct TokenRow {
    id: String,
    name: String,
    hint: String,
    owner: String,
    owner_page: String,
    class: &'static str,
    ending: String,
    also_ended: Vec<String>,
}

impl TokenRow {
    fn new(texts: Texts, leaked: LeakedToken) -> Self {
        let LeakedToken { token, owner, ending, also_ended } = leaked;
        let (class, ending) = match ending {
            LeakEnding::Now => ("live", "leaks-now"),
            LeakEnding::Before => ("ended", "leaks-before"),
            LeakEnding::Canary => ("canary", "leaks-canary"),
        };
        Self {
            id: token.id.to_string(),
            name: token.name.to_string(),
            hint: token.hint.to_string(),
            owner: owner.name().to_string(),
            owner_page: page_of(&owner),
            class,
            ending: texts.say(ending),
            also_ended: also_ended.iter().map(ToString::to_string).collect(),
        }
    }
}

/// `GET /console/admin/leaks`.
pub(in crate::http::console) async fn show(person: Person) -> Result<HttpResponse, PageError> {
    person.administrator()?;
    Ok(page(&person, StatusCode::OK, "", None, FormErrors::default()))
}

fn page(
    person: &Person,
    status: StatusCode,
    secrets: &str,
    report: Option<Report>,
    errors: FormErrors,
) -> HttpResponse {
    let Frame { layout, tabs } = Frame::of(person, &person.look.texts.say("admin-leaks"));
    let secrets = Zeroizing::new(secrets.to_owned());
    show_page(status, &LeaksPage { layout, tabs, errors, secrets, report })
}

/// `POST /console/admin/leaks`. The answer is the only place that says what ended.
pub(in crate::http::console) async fn act(
    person: Person,
    source: Source,
    ClientAgent(agent): ClientAgent,
    body: Body,
) -> Result<HttpResponse, PageError> {
    let admin = person.administrator()?;
    // Each line break takes six bytes in a form.
    let fields = Fields::new(body.with_min_limit(REPORT_SIZE + 6 * MAX_REPORTED).pairs().await?);
    match report(&person, &admin, source, agent.as_deref(), &fields).await {
        Ok(report) => Ok(page(&person, StatusCode::OK, "", Some(report), FormErrors::default())),
        Err(error) => {
            let (status, errors) = FormErrors::of(&person.look, error)?;
            Ok(page(&person, status, fields.text("secrets"), None, errors))
        }
    }
}

async fn report(
    person: &Person,
    admin: &AdminPrincipal,
    source: Source,
    agent: Option<&str>,
    fields: &Fields,
) -> Result<Report, PageError> {
    let texts = person.look.texts;
    let lines = fields.text("secrets").lines().map(str::trim).filter(|line| !line.is_empty());
    let secrets: Vec<String> = lines.map(str::to_owned).collect();
    if secrets.is_empty() || secrets.len() > MAX_REPORTED {
        let message = texts.count("leaks-how-many", MAX_REPORTED);
        return Err(crate::ops::FieldError { field: "secrets".to_owned(), message }.into());
    }
    let (client, by) = (source.address, source.by_admin(admin));
    let outcome = leak_desk::report(person.ops(), admin.administrator, &secrets, client, agent, by).await?;
    Ok(Report {
        read: texts.count("leaks-read", outcome.read),
        unknown: texts.count("leaks-unknown", outcome.unknown),
        tokens: outcome.tokens.into_iter().map(|leaked| TokenRow::new(texts, leaked)).collect(),
        sessions: outcome
            .sessions
            .into_iter()
            .map(|user| (user.name.to_string(), format!("/console/admin/users/{}", user.id)))
            .collect(),
    })
}
