//! One token: all that is known about it, and what can be done with it.

use std::time::Duration;

use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web::Path};
use askama::Template;

use super::{list::Row, rule_in_words, secret, status::revoked_as};
use crate::{
    domain::{
        ability::{Abilities, Ability},
        authority::Authority,
        id::TokenId,
        owner::Owner,
        text::Name,
        time::Timestamp,
        token_report::{FamilyMember, TokenReport},
    },
    http::{
        annotations,
        console::{
            activity::EventRow,
            chart::{Chart, UsageRow},
            errors::FormErrors,
            fields::{ApiFields, Fields},
            layout::Layout,
            page::{PageError, see, show as show_page},
            person::Person,
            texts::Texts,
            times::{When, span},
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
    row: Row,
    /// What was typed, or the present name and description.
    name: String,
    description: String,
    number: i64,
    abilities: Vec<String>,
    revoked: Option<When>,
    revoked_why: String,
    disabled: Option<When>,
    networks: Vec<String>,
    requests_per_minute: String,
    quota: String,
    metadata: Vec<(String, String)>,
    owner: String,
    created_by: String,
    can_rotate: bool,
    can_revoke: bool,
    can_disable: bool,
    graces: Vec<GraceChoice>,
    default_on_first_use: bool,
    is_counted: bool,
    counted_since: Option<When>,
    chart: Option<Chart>,
    usage: Vec<UsageRow>,
    used_abilities: Vec<String>,
    /// `None` if it is not known.
    unused_abilities: Option<Vec<String>>,
    unused_rules: Vec<String>,
    can_narrow: bool,
    addresses: Vec<AddressRow>,
    family: Vec<FamilyRow>,
    events: Vec<EventRow>,
}

struct GraceChoice {
    seconds: u64,
    label: String,
    is_chosen: bool,
}

struct AddressRow {
    address: String,
    agent: String,
    used: When,
}

struct FamilyRow {
    id: String,
    is_this: bool,
    created: When,
    state: String,
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

fn member(texts: Texts, member: FamilyMember, this: TokenId, now: Timestamp) -> FamilyRow {
    let state = match (member.revoked, member.expires_at, member.disabled_at) {
        (Some(revoked), ..) => revoked_as(revoked.reason),
        (_, Some(end), _) if end.has_passed(now) => "status-expired",
        (.., Some(_)) => "status-disabled",
        _ => "status-active",
    };
    FamilyRow {
        id: member.id.to_string(),
        is_this: member.id == this,
        created: When::new(texts, member.created_at, now),
        state: texts.say(state),
    }
}

fn names<'a>(abilities: impl IntoIterator<Item = &'a Ability>) -> Vec<String> {
    abilities.into_iter().map(ToString::to_string).collect()
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
    let (texts, ctx) = (person.look.texts, person.ops());
    let owner = owners::of_token(ctx, person.user.user.id, id).await?;
    let token = tokens::show(ctx, owner.into(), id).await?;
    let report = token_report::report(ctx, Authority::User(owner), token).await?;
    let now = ctx.clock.now();
    let TokenReport { token, quota_left, owner, history, usage, locations, unused_rules, .. } = report;
    let failed = if errors.any() { fields.text("do").to_owned() } else { String::new() };
    let row = Row::new(texts, &token, now);
    let typed = |field: &str, stored: &str| if failed == "rename" { fields.text(field) } else { stored }.to_owned();
    let when = |at: Timestamp| When::new(texts, at, now);
    let limits = token.limits.as_deref();
    let totals = usage.totals();
    let used = totals.abilities.iter().filter(|(_, counts)| counts.allowed > 0).map(|(name, _)| name.to_string());
    let unused = usage.unused(&token.abilities).map(|unused| names(&unused));
    let has_ended = token.revoked.is_some() || token.has_expired(now);
    let used_abilities: Vec<String> = used.collect();
    let can_rotate = !has_ended && token.disabled_at.is_none() && token.grace.is_none() && !token.is_canary;
    let quota = limits.and_then(|limits| limits.quota).map(|quota| {
        texts.with("token-quota-left", "left", quota_left.unwrap_or(quota).to_string() + " / " + &quota.to_string())
    });
    let page = TokenPage {
        layout: Layout::of(person, token.name.as_str()),
        notice,
        name: typed("name", &row.name),
        description: typed("description", &row.description),
        failed,
        errors,
        number: token.number,
        abilities: names(token.abilities.iter()),
        revoked: token.revoked.map(|revoked| when(revoked.at)),
        revoked_why: token.revoked.map(|revoked| texts.say(revoked_as(revoked.reason))).unwrap_or_default(),
        disabled: token.disabled_at.map(when),
        networks: limits
            .map(|limits| limits.allowlist.networks().iter().map(ToString::to_string).collect())
            .unwrap_or_default(),
        requests_per_minute: limits
            .and_then(|limits| limits.requests_per_minute)
            .map(|number| number.to_string())
            .unwrap_or_default(),
        quota: quota.unwrap_or_default(),
        metadata: token
            .annotations
            .as_ref()
            .map(|annotations| {
                annotations.metadata.iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
            })
            .unwrap_or_default(),
        owner: match &owner {
            Owner::User(user) if user.id == person.user.user.id => String::new(),
            Owner::User(user) => user.name.to_string(),
            Owner::ServiceAccount(account) => account.name.to_string(),
        },
        created_by: history.creator.and_then(|creator| creator.name).map(|name| name.to_string()).unwrap_or_default(),
        can_rotate,
        can_revoke: !has_ended,
        can_disable: !has_ended,
        graces: graces(person),
        default_on_first_use: ctx.rules.rotation.end_on_first_use,
        is_counted: usage.counted_since.is_some(),
        counted_since: usage.counted_since.map(when),
        chart: Chart::of(texts, &usage, now),
        usage: UsageRow::of(&usage),
        can_narrow: can_rotate
            && !used_abilities.is_empty()
            && unused.is_some()
            && used_abilities.len() <= Abilities::MAX
            && names(token.abilities.iter()) != used_abilities,
        used_abilities,
        unused_abilities: unused,
        unused_rules: unused_rules
            .into_iter()
            .map(|unused| format!("{}: {}", unused.policy, rule_in_words(&unused.rule)))
            .collect(),
        addresses: locations
            .into_iter()
            .map(|location| AddressRow {
                address: location.address.to_string(),
                agent: location.user_agent.map(|agent| agent.to_string()).unwrap_or_default(),
                used: when(location.last_used_at),
            })
            .collect(),
        family: history.family.into_iter().map(|found| member(texts, found, id, now)).collect(),
        events: history.events.into_iter().map(|event| EventRow::new(texts, event, now)).collect(),
        row,
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
            let page = format!("/console/tokens/{}", issued.token.id);
            Ok(secret::keep_until_sent(secret::page(person, &issued, ends, page), ending))
        }
        _ => Err(ApiError::Malformed("The form does not say what to do.".to_owned()).into()),
    }
}
