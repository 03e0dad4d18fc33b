//! One token: all that is known about it, and what can be done with it.

use std::time::Duration;

use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web::Path};
use askama::Template;

use super::{facts::Facts, place::Place, secret};
use crate::{
    domain::{ability::Abilities, authority::Authority, id::TokenId, text::Name},
    http::{
        annotations,
        console::{
            errors::FormErrors,
            fields::{ApiFields, Fields},
            layout::Layout,
            page::{PageError, see, show as show_page},
            person::Person,
            times::span,
        },
        error::ApiError,
        input::{body::Body, request_source::Source},
        tokens::token_id,
    },
    ops::{
        owners, revocation,
        rotation::{self, Rotated, RotationRequest},
        token_report,
        tokens::{self, Expiry},
    },
    store::TokenChange,
};

/// The choices of when the old secret ends, in seconds.
const GRACES: [u64; 6] = [0, 5 * 60, 60 * 60, 24 * 60 * 60, 3 * 24 * 60 * 60, 7 * 24 * 60 * 60];

#[derive(Template)]
#[template(path = "token.html")]
struct TokenPage {
    layout: Layout,
    notice: String,
    failed: String,
    errors: FormErrors,
    facts: Facts,
    /// What was typed, or the present name and description.
    name: String,
    description: String,
    can_rotate: bool,
    can_revoke: bool,
    can_disable: bool,
    graces: Vec<GraceChoice>,
    default_on_first_use: bool,
    can_narrow: bool,
}

struct GraceChoice {
    seconds: u64,
    label: String,
    is_chosen: bool,
}

/// `GET /console/tokens/{id}`.
pub(in crate::http::console) async fn show(
    request: HttpRequest,
    person: Person,
    id: Path<String>,
) -> Result<HttpResponse, PageError> {
    let query = Fields::of_query(request.query_string());
    let done = query.text("done");
    let notice = match done {
        "renamed" => "token-renamed",
        "disabled" => "token-disabled",
        "enabled" => "token-enabled",
        "revoked" => "token-revoked",
        _ => "",
    };
    let notice = if notice.is_empty() { String::new() } else { person.look.texts.say(notice) };
    page(&person, StatusCode::OK, token_id(&id)?, &query, notice, FormErrors::default()).await
}

/// The choices of when the old secret ends, up to the longest that the server allows.
fn graces(person: &Person) -> Vec<GraceChoice> {
    let (texts, settings) = (person.look.texts, &person.ops().rules.rotation);
    let mut seconds: Vec<u64> = GRACES.into_iter().filter(|grace| *grace <= settings.max_grace.as_secs()).collect();
    seconds.push(settings.grace.as_secs());
    seconds.sort_unstable();
    seconds.dedup();
    let choice = |seconds: u64| GraceChoice {
        seconds,
        is_chosen: seconds == settings.grace.as_secs(),
        label: match seconds {
            0 => texts.say("rotate-at-once"),
            _ => texts.with("rotate-after", "span", span(texts, Duration::from_secs(seconds))),
        },
    };
    seconds.into_iter().map(choice).collect()
}

async fn page(
    person: &Person,
    status: StatusCode,
    id: TokenId,
    fields: &Fields,
    notice: String,
    errors: FormErrors,
) -> Result<HttpResponse, PageError> {
    let ctx = person.ops();
    let owner = owners::of_token(ctx, person.user.user.id, id).await?;
    let token = tokens::show(ctx, owner.into(), id).await?;
    let can_be_replaced = token.disabled_at.is_none() && token.grace.is_none() && !token.is_canary;
    let report = token_report::report(ctx, Authority::User(owner), token).await?;
    let facts = Facts::of_report(person, "/console/tokens", report);
    let failed = if errors.any() { fields.text("do").to_owned() } else { String::new() };
    let typed = |field: &str, stored: &str| if failed == "rename" { fields.text(field) } else { stored }.to_owned();
    let can_rotate = can_be_replaced && !facts.has_ended;
    let page = TokenPage {
        layout: Layout::of(person, &facts.row.name),
        notice,
        name: typed("name", &facts.row.name),
        description: typed("description", &facts.row.description),
        failed,
        errors,
        can_rotate,
        can_revoke: !facts.has_ended,
        can_disable: !facts.has_ended,
        graces: graces(person),
        default_on_first_use: ctx.rules.rotation.end_on_first_use,
        can_narrow: can_rotate
            && !facts.used_abilities.is_empty()
            && facts.unused_abilities.is_some()
            && facts.used_abilities.len() <= Abilities::MAX
            && facts.abilities != facts.used_abilities,
        facts,
    };
    Ok(show_page(status, &page))
}

/// `POST /console/tokens/{id}`.
pub(in crate::http::console) async fn act(
    person: Person,
    source: Source,
    id: Path<String>,
    body: Body,
) -> Result<HttpResponse, PageError> {
    let fields = Fields::new(body.pairs().await?);
    let id = token_id(&id)?;
    match try_act(&person, source, id, &fields).await {
        Ok(response) => Ok(response),
        Err(error) => {
            let (status, errors) = FormErrors::of(&person.look, error)?;
            page(&person, status, id, &fields, String::new(), errors).await
        }
    }
}

async fn try_act(person: &Person, source: Source, id: TokenId, fields: &Fields) -> Result<HttpResponse, PageError> {
    let ctx = person.ops();
    let owner = owners::of_token(ctx, person.user.user.id, id).await?;
    let by = source.by(&person.user);
    let done = |what: &str| Ok(see(&format!("/console/tokens/{id}?done={what}")));
    match fields.text("do") {
        "rename" => {
            let sent = ApiFields::default().text("name", fields.text("name"));
            let mut form = sent.text("description", fields.text("description")).form(&["name", "description"]);
            let name = form.required("name", Name::parse);
            let description = annotations::new_description(&mut form);
            let name = form.finish(name)?;
            let change = TokenChange { name: Some(name), description, metadata: None };
            tokens::change(ctx, owner, id, change, by).await?;
            done("renamed")
        }
        "disable" => {
            revocation::disable(ctx, owner.into(), id, by).await?;
            done("disabled")
        }
        "enable" => {
            revocation::enable(ctx, owner.into(), id, by).await?;
            done("enabled")
        }
        "revoke" => {
            revocation::revoke(ctx, owner.into(), id, by).await?;
            done("revoked")
        }
        "rotate" => {
            let max = ctx.rules.rotation.max_grace.as_secs();
            let sent = ApiFields::default().number("grace", fields);
            let narrowed: Vec<&str> = fields.all("abilities").collect();
            let sent = if narrowed.is_empty() { sent } else { sent.value("abilities", narrowed) };
            let mut form = sent.form(&["grace", "abilities"]);
            let grace = form.optional_number("grace", 0..=max).map(Duration::from_secs);
            let abilities = crate::http::tokens::narrower_abilities(&mut form);
            let request = RotationRequest {
                abilities,
                grace,
                end_on_first_use: Some(fields.is_ticked("on_first_use")),
                expiry: Expiry::Default,
                replace_unused: true,
            };
            let request = form.finish(Some(request))?;
            let Rotated { issued, ending } = rotation::rotate(ctx, owner, id, request, by).await?;
            let texts = person.look.texts;
            let grace = grace.unwrap_or(ctx.rules.rotation.grace);
            let ends = match grace.is_zero() {
                true => texts.say("secret-old-ended"),
                false if fields.is_ticked("on_first_use") => {
                    texts.with("secret-old-ends-first-use", "span", span(texts, grace))
                }
                false => texts.with("secret-old-ends", "span", span(texts, grace)),
            };
            let page = secret::page(person, &issued, ends, &Place::Owner(owner));
            Ok(secret::keep_until_sent(page, ending))
        }
        _ => Err(ApiError::Malformed("The form does not say what to do.".to_owned()).into()),
    }
}
