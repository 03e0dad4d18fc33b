//! The form for a new token.

use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web::Path};
use askama::Template;
use serde_json::Value;

use super::{OwnerChoice, owner_choices, place::Place};
use crate::{
    domain::{
        ability::{Ability, ServerAbility},
        id::UserId,
        time::Timestamp,
        token::Token,
    },
    http::{
        console::{
            errors::FormErrors,
            fields::{ApiFields, Fields, new_form_id},
            layout::Layout,
            page::{PageError, show as show_page},
            person::Person,
            times::When,
        },
        tokens::{NewTokenForm, WITH_OWNER, token_id},
    },
    ops::{self, Context, environment_tokens, owners, tokens},
};

/// The presets of the expiry, in days.
const PRESETS: [u64; 4] = [7, 30, 60, 90];
/// The preset of an untouched form.
const DEFAULT_DAYS: u64 = 30;
const DAY: u64 = 24 * 60 * 60;

/// The choice of an expiry that is a date, and the one that is none.
const DATE: &str = "date";
const NEVER: &str = "never";

#[derive(Template)]
#[template(path = "new_token.html")]
struct NewTokenPage {
    layout: Layout,
    errors: FormErrors,
    /// Where the form is sent to, and where one goes without it.
    action: String,
    back: String,
    /// The name of the environment. Empty for a personal token.
    environment: String,
    form: String,
    owner: String,
    owners: Vec<OwnerChoice>,
    name: String,
    description: String,
    is_full: bool,
    groups: Vec<Group>,
    /// What is typed and not in the catalogue.
    typed: String,
    accepts_any: bool,
    presets: Vec<Preset>,
    is_date: bool,
    date: String,
    earliest: String,
    latest: String,
    allows_never: bool,
    is_never: bool,
    limit: String,
    more_is_open: bool,
    ip_allowlist: String,
    requests_per_minute: String,
    quota: String,
    metadata: String,
    is_canary: bool,
}

/// Abilities with the same prefix.
struct Group {
    name: String,
    abilities: Vec<Choice>,
}

struct Choice {
    name: String,
    is_chosen: bool,
    /// Only administrators can grant it.
    is_reserved: bool,
}

struct Preset {
    days: u64,
    label: String,
    ends: When,
    is_chosen: bool,
}

/// The abilities to choose from: those of the configuration, and those of the server that the person can grant.
fn groups(person: &Person, place: &Place, chosen: &[&str]) -> Vec<Group> {
    let configured = person.ops().rules.catalogue.iter().map(Ability::to_string);
    let server = ServerAbility::ALL.into_iter().map(|ability| ability.ability());
    let grants_reserved = person.is_admin() && matches!(place, Place::Owner(_));
    let server = server.filter(|ability| grants_reserved || !ability.is_reserved()).map(|ability| ability.to_string());
    let mut groups: Vec<Group> = Vec::new();
    for name in configured.chain(server) {
        let prefix = name.split(':').next().unwrap_or_default().to_owned();
        let is_reserved = Ability::parse(&name).is_ok_and(|ability| ability.is_reserved());
        let choice = Choice { is_chosen: chosen.contains(&&*name), name, is_reserved };
        match groups.iter_mut().find(|group| group.name == prefix) {
            Some(group) if group.abilities.iter().any(|known| known.name == choice.name) => {}
            Some(group) => group.abilities.push(choice),
            None => groups.push(Group { name: prefix, abilities: vec![choice] }),
        }
    }
    groups
}

/// `GET /console/tokens/new`. The query fills the form: `name`, `abilities`, `expires_in_days` and the other fields, and `like`
/// is the id of a token to take them from.
pub(in crate::http::console) async fn show(request: HttpRequest, person: Person) -> Result<HttpResponse, PageError> {
    let query = Fields::of_query(request.query_string());
    let fields = match query.given("like") {
        None => query,
        Some(like) => {
            let id = token_id(like)?;
            let owner = owners::of_token(person.ops(), person.user.user.id, id).await?;
            like_token(&tokens::show(person.ops(), owner.into(), id).await?, person.user.user.id)
        }
    };
    let place = Place::of_owner(&person, &fields).await?;
    form(&person, &place, StatusCode::OK, &fields, FormErrors::default()).await
}

/// `GET /console/environments/{id}/tokens/new`. The query fills the form in the same way.
pub(in crate::http::console) async fn show_of_environment(
    request: HttpRequest,
    person: Person,
    environment: Path<String>,
) -> Result<HttpResponse, PageError> {
    let query = Fields::of_query(request.query_string());
    let place = Place::of_environment(&person, &environment).await?;
    let fields = match (query.given("like"), &place) {
        (Some(like), Place::Environment(access)) => {
            let (user, id) = (person.user.user.id, token_id(like)?);
            let token = environment_tokens::get(person.ops(), user, access.environment.id, id).await?;
            like_token(&token, token.owner)
        }
        _ => query,
    };
    form(&person, &place, StatusCode::OK, &fields, FormErrors::default()).await
}

/// The fields that make a token like this one.
fn like_token(token: &Token, user: UserId) -> Fields {
    let mut pairs = vec![("name".to_owned(), token.name.to_string())];
    pairs.extend(token.abilities.iter().map(|ability| ("abilities".to_owned(), ability.to_string())));
    if token.owner != user {
        pairs.push(("owner".to_owned(), token.owner.to_string()));
    }
    // As long as the other one lasted.
    match token.expires_at {
        Some(end) => {
            let days = end.since(token.created_at).as_secs().div_ceil(DAY).max(1);
            pairs.push(("expires_in_days".to_owned(), days.to_string()));
        }
        None => pairs.push(("expires".to_owned(), NEVER.to_owned())),
    }
    if let Some(limits) = &token.limits {
        let networks: Vec<String> = limits.allowlist.networks().iter().map(ToString::to_string).collect();
        pairs.push(("ip_allowlist".to_owned(), networks.join("\n")));
        pairs.extend(limits.requests_per_minute.map(|number| ("requests_per_minute".to_owned(), number.to_string())));
        pairs.extend(limits.quota.map(|number| ("quota".to_owned(), number.to_string())));
    }
    if let Some(annotations) = &token.annotations {
        let description = annotations.description.as_ref().map(|text| text.as_str().to_owned());
        pairs.push(("description".to_owned(), description.unwrap_or_default()));
        let lines: Vec<String> = annotations.metadata.iter().map(|(key, value)| format!("{key}={value}")).collect();
        pairs.push(("metadata".to_owned(), lines.join("\n")));
    }
    if token.is_canary {
        pairs.push(("canary".to_owned(), "1".to_owned()));
    }
    Fields::new(pairs)
}

/// The abilities that are chosen or typed, in whatever way the fields name them.
pub(super) fn abilities(fields: &Fields) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    let separates = |c: char| c.is_whitespace() || c == ',';
    let chosen = fields.all("abilities").flat_map(|value| value.split(separates)).map(str::to_owned);
    for name in chosen.chain(fields.words("more_abilities")).filter(|name| !name.is_empty()) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// When the fields say that the token ends: [`DATE`], [`NEVER`] or a number of days. An untouched form means
/// [`DEFAULT_DAYS`], or fewer where the server allows no more.
fn expiry(fields: &Fields, ctx: &Context) -> String {
    if let Some(choice) = fields.given("expires") {
        return choice.to_owned();
    }
    if let Some(days) = fields.given("expires_in_days") {
        return days.to_owned();
    }
    let longest = ctx.rules.token_lifetimes.max.map_or(u64::MAX, |max| (max.as_secs() / DAY).max(1));
    DEFAULT_DAYS.min(longest).to_string()
}

pub(super) async fn form(
    person: &Person,
    place: &Place,
    status: StatusCode,
    fields: &Fields,
    errors: FormErrors,
) -> Result<HttpResponse, PageError> {
    let (texts, ctx) = (person.look.texts, person.ops());
    let now = ctx.clock.now();
    let (owner, owners, environment) = match place {
        Place::Owner(owner) => (owner.to_string(), owner_choices(person, *owner).await?, String::new()),
        Place::Environment(access) => (String::new(), Vec::new(), access.environment.name.to_string()),
    };
    let chosen = abilities(fields);
    let names: Vec<&str> = chosen.iter().map(|name| &**name).collect();
    let groups = groups(person, place, &names);
    let is_listed =
        |name: &str| name == "*" || groups.iter().flat_map(|group| &group.abilities).any(|known| known.name == name);
    let typed: Vec<&str> = names.iter().copied().filter(|name| !is_listed(name)).collect();
    let (expiry, lifetimes) = (expiry(fields, ctx), ctx.rules.token_lifetimes);
    let mut days: Vec<u64> = PRESETS.to_vec();
    days.extend(expiry.parse::<u64>().ok().filter(|days| (1..=36_500).contains(days) && !PRESETS.contains(days)));
    days.sort_unstable();
    let fits = |days: &u64| lifetimes.max.is_none_or(|max| days * DAY <= max.as_secs());
    let preset = |days: u64| Preset {
        days,
        label: texts.count("span-days", days),
        ends: When::new(texts, now.plus(std::time::Duration::from_secs(days * DAY)), now),
        is_chosen: expiry == days.to_string(),
    };
    let more = ["ip_allowlist", "requests_per_minute", "quota", "metadata", "canary"];
    let date = |at: Timestamp| at.to_string()[..10].to_owned();
    let page = NewTokenPage {
        layout: Layout::of(person, &texts.say("new-title")),
        form: new_form_id(now),
        action: place.form(),
        back: place.list(),
        environment,
        owner,
        owners,
        name: fields.text("name").to_owned(),
        description: fields.text("description").to_owned(),
        is_full: names.contains(&"*"),
        typed: typed.join(" "),
        accepts_any: ctx.rules.catalogue.is_empty(),
        groups,
        presets: days.into_iter().filter(fits).map(preset).collect(),
        is_date: expiry == DATE,
        date: fields.text("expires_on").to_owned(),
        earliest: date(now.plus(std::time::Duration::from_secs(DAY))),
        latest: lifetimes.max.map(|max| date(now.plus(max))).unwrap_or_default(),
        allows_never: lifetimes.max.is_none() && lifetimes.allow_endless,
        is_never: expiry == NEVER,
        limit: lifetimes.max.map(|max| texts.count("new-longest", max.as_secs() / DAY)).unwrap_or_default(),
        more_is_open: more.iter().any(|name| !fields.text(name).is_empty() || !errors.of_field(name).is_empty()),
        ip_allowlist: fields.text("ip_allowlist").to_owned(),
        requests_per_minute: fields.text("requests_per_minute").to_owned(),
        quota: fields.text("quota").to_owned(),
        metadata: fields.text("metadata").to_owned(),
        is_canary: fields.is_ticked("canary"),
        errors,
    };
    Ok(show_page(status, &page))
}

/// Reads the form by the rules of the API.
pub(super) fn read(person: &Person, fields: &Fields) -> Result<NewTokenForm, PageError> {
    let mut sent = ApiFields::default().text("name", fields.text("name")).given("description", fields);
    sent = sent.value("abilities", abilities(fields));
    let expiry = expiry(fields, person.ops());
    sent = match &*expiry {
        NEVER => sent.value("expires_at", Value::Null),
        // The last second of that day.
        DATE => sent.text("expires_at", &format!("{}T23:59:59Z", fields.text("expires_on").trim())),
        days => sent.value("expires_in_days", days.parse::<u64>().map_or_else(|_| Value::from(days), Value::from)),
    };
    let networks = fields.words("ip_allowlist");
    if !networks.is_empty() {
        sent = sent.value("ip_allowlist", networks);
    }
    sent = sent.number("requests_per_minute", fields).number("quota", fields);
    let mut metadata = serde_json::Map::new();
    for line in fields.text("metadata").lines().filter(|line| !line.trim().is_empty()) {
        let Some((key, value)) = line.split_once('=') else {
            let message = person.look.texts.with("new-metadata-line", "line", line.trim().to_owned());
            return Err(ops::Error::Invalid(vec![ops::FieldError { field: "metadata".to_owned(), message }]).into());
        };
        metadata.insert(key.trim().to_owned(), value.trim().into());
    }
    if !metadata.is_empty() {
        sent = sent.value("metadata", metadata);
    }
    if fields.is_ticked("canary") {
        sent = sent.value("canary", true);
    }
    Ok(NewTokenForm::of(sent.form(WITH_OWNER), WITH_OWNER)?)
}
