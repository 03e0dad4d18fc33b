//! Sign-in and sign-out.

use actix_web::{
    HttpRequest, HttpResponse,
    http::{
        StatusCode,
        header::{self, HeaderName},
    },
};
use askama::Template;

use super::{
    cookie,
    errors::FormErrors,
    fields::{ApiFields, Fields},
    layout::Layout,
    look::Look,
    page::{PageError, ROOT, is_own_page, see, show as show_page},
    person::Person,
};
use crate::{
    domain::{
        account::{Email, Password},
        text::Name,
    },
    http::{
        input::{body::Body, request_source::Source},
        wire::log_subject,
    },
    ops::{self, accounts, sessions},
};

const CLEAR_SITE_DATA: HeaderName = HeaderName::from_static("clear-site-data");

#[derive(Template)]
#[template(path = "sign_in.html")]
struct SignInPage {
    layout: Layout,
    errors: FormErrors,
    email: String,
    next: String,
    /// Whether the server has no user yet.
    is_empty: bool,
    /// What has just happened.
    notice: String,
}

/// `GET /console/sign-in`.
pub(super) async fn show(request: HttpRequest, look: Look) -> Result<HttpResponse, PageError> {
    let query = Fields::of_query(request.query_string());
    let notice = match query.text("done") {
        "signed-out" => look.texts.say("sign-in-signed-out"),
        "password-set" => look.texts.say("sign-in-password-set"),
        "deleted" => look.texts.say("sign-in-deleted"),
        _ if !query.text("next").is_empty() => look.texts.say("sign-in-first"),
        _ => String::new(),
    };
    form(&look, StatusCode::OK, &query, notice, FormErrors::default()).await
}

async fn form(
    look: &Look,
    status: StatusCode,
    fields: &Fields,
    notice: String,
    errors: FormErrors,
) -> Result<HttpResponse, PageError> {
    let is_empty = !accounts::exist(&look.state.ops).await?;
    let layout = Layout::of_nobody(look, &look.texts.say("sign-in-title"));
    let (email, next) = (fields.text("email").to_owned(), next(fields).to_owned());
    Ok(show_page(status, &SignInPage { layout, errors, email, next, is_empty, notice }))
}

/// Where a person wants to go after they signed in.
fn next(fields: &Fields) -> &str {
    let next = fields.text("next");
    if is_own_page(next) && !next.starts_with("/console/sign") { next } else { ROOT }
}

/// `POST /console/sign-in`.
pub(super) async fn sign_in(
    request: HttpRequest,
    look: Look,
    source: Source,
    body: Body,
) -> Result<HttpResponse, PageError> {
    let fields = Fields::new(body.pairs().await?);
    match try_sign_in(&request, &look, source, &fields).await {
        Ok(response) => Ok(response),
        Err(error) => {
            let (status, errors) = FormErrors::of(&look, error)?;
            form(&look, status, &fields, String::new(), errors).await
        }
    }
}

async fn try_sign_in(
    request: &HttpRequest,
    look: &Look,
    source: Source,
    fields: &Fields,
) -> Result<HttpResponse, PageError> {
    let sent = ApiFields::default().text("email", fields.text("email")).text("password", fields.text("password"));
    let mut form = sent.form(&["email", "password"]);
    let email = form.required("email", Email::parse_stored);
    let password = form.required("password", Password::parse);
    let (email, password) = form.finish(email.zip(password))?;
    log_subject::note_account(request, &email);
    let agent = request.headers().get(header::USER_AGENT).and_then(|agent| agent.to_str().ok()).unwrap_or_default();
    let device_name = Name::parse(&browser(agent)).ok();
    let attempt = accounts::SignInAttempt { client: source.address, email, password, device_name };
    let issued = accounts::sign_in(&look.state.ops, attempt, source.anonymous()).await?;
    let next = serde_urlencoded::to_string([("next", next(fields))]).expect("text is a form");
    let mut response = see(&format!("/console/signed-in?{next}"));
    let secret = issued.plaintext.expose();
    let cookie = cookie::keep(look, secret, issued.session.created_at, issued.session.expires_at);
    response
        .add_cookie(&cookie)
        .map_err(|error| ops::Error::Internal(format!("the cookie cannot be sent: {error}")))?;
    Ok(response)
}

#[derive(Template)]
#[template(path = "no_cookie.html")]
struct NoCookiePage {
    layout: Layout,
    is_secure: bool,
}

/// `GET /console/signed-in`: leads on, or says why the browser did not keep the session.
pub(super) async fn arrive(request: HttpRequest, look: Look) -> Result<HttpResponse, PageError> {
    if cookie::read(&request, &look).is_some() {
        return Ok(see(next(&Fields::of_query(request.query_string()))));
    }
    let layout = Layout::of_nobody(&look, &look.texts.say("no-cookie-title"));
    Ok(show_page(StatusCode::OK, &NoCookiePage { layout, is_secure: look.is_secure }))
}

/// `POST /console/sign-out`.
pub(super) async fn sign_out(person: Person, source: Source) -> Result<HttpResponse, PageError> {
    let (session, by) = (person.user.session.id, source.by(&person.user));
    sessions::end(person.ops(), person.user.user.id, session, by).await?;
    Ok(forgotten(&person.look, "signed-out"))
}

/// Leads to the sign-in page, and removes the session from the browser.
pub(super) fn forgotten(look: &Look, done: &str) -> HttpResponse {
    let mut response = see(&format!("/console/sign-in?done={done}"));
    let _ = response.add_cookie(&cookie::forget(look));
    // The button to go back shows no page of the person who was signed in.
    response.headers_mut().insert(CLEAR_SITE_DATA, header::HeaderValue::from_static("\"cache\""));
    response
}

/// The browser that a `User-Agent` header names, as the name of a session.
fn browser(agent: &str) -> String {
    let first =
        |names: &[(&str, &'static str)]| names.iter().find(|(part, _)| agent.contains(part)).map(|(_, name)| *name);
    let browser =
        first(&[("Firefox", "Firefox"), ("Edg", "Edge"), ("OPR", "Opera"), ("Chrome", "Chrome"), ("Safari", "Safari")]);
    let system = first(&[
        ("Android", "Android"),
        ("iPhone", "iPhone"),
        ("iPad", "iPad"),
        ("Windows", "Windows"),
        ("Mac OS", "macOS"),
        ("Linux", "Linux"),
    ]);
    match (browser, system) {
        (Some(browser), Some(system)) => format!("{browser} ({system})"),
        (Some(only), None) | (None, Some(only)) => only.to_owned(),
        (None, None) => "Console".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_named_after_its_browser() {
        let firefox = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";
        let edge = "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/140.0.0.0 Safari/537.36 Edg/140.0";
        assert_eq!(browser(firefox), "Firefox (Linux)");
        assert_eq!(browser(edge), "Edge (Windows)");
        assert_eq!(browser("curl/8"), "Console");
    }

    #[test]
    fn after_signing_in_a_person_stays_here() {
        let next_of = |query: &str| next(&Fields::of_query(query)).to_owned();
        assert_eq!(next_of("next=/console/tokens%3Fstate%3Dexpired"), "/console/tokens?state=expired");
        assert_eq!(next_of("next=//evil.example"), "/console");
        assert_eq!(next_of("next=/console/sign-out"), "/console");
    }
}
