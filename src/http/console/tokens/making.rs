//! The summary of a new token, and its creation.

use actix_web::{HttpResponse, http::StatusCode, web::Path};
use askama::Template;

use super::{
    new::{abilities, form, read},
    owner_choices,
    place::Place,
    rule_in_words, secret,
};
use crate::{
    domain::{
        authority::Authority,
        id::TokenId,
        policy::{Access, Policy, Rule},
        secret::CredentialKind,
    },
    http::{
        console::{
            errors::FormErrors,
            fields::{Fields, form_id},
            layout::Layout,
            page::{PageError, show as show_page},
            person::Person,
            times::When,
        },
        error::ApiError,
        input::{body::Body, request_source::Source},
    },
    ops::{
        self,
        environment_tokens::{self, EnvironmentTokenRequest},
        owners,
        tokens::{self, TokenPreview, TokenRequest},
    },
};

#[derive(Template)]
#[template(path = "review_token.html")]
struct ReviewPage {
    layout: Layout,
    action: String,
    /// The name of the environment. Empty for a personal token.
    environment: String,
    /// The fields of the form, which are sent again.
    fields: Vec<(String, String)>,
    name: String,
    description: String,
    owner: String,
    abilities: Vec<String>,
    is_full: bool,
    expires: Option<When>,
    is_canary: bool,
    networks: Vec<String>,
    requests_per_minute: String,
    quota: String,
    metadata: Vec<(String, String)>,
    policies: Vec<Opened>,
}

/// What the abilities let through at a policy.
struct Opened {
    policy: String,
    rules: Vec<String>,
    has_more_rules: bool,
}

fn opened(policy: &Policy, kind: CredentialKind, preview: &TokenPreview) -> Opened {
    let lets_through = |rule: &&Rule| match &rule.access {
        Access::Public => false,
        Access::Credential { kinds, abilities } => {
            kinds.contains(&kind) && abilities.iter().all(|needed| preview.abilities.cover(needed.as_str()))
        }
    };
    let rules: Vec<String> = policy.rules().iter().filter(lets_through).map(rule_in_words).collect();
    let with_credential = policy.rules().iter().filter(|rule| !matches!(rule.access, Access::Public)).count();
    Opened { policy: policy.name().to_owned(), has_more_rules: rules.len() < with_credential, rules }
}

#[derive(Template)]
#[template(path = "already_created.html")]
struct AlreadyCreatedPage {
    layout: Layout,
    page: String,
    name: String,
}

/// `POST /console/tokens/new`: shows the summary, and then makes the token. A form that is sent twice makes one token.
pub(in crate::http::console) async fn act(
    person: Person,
    source: Source,
    body: Body,
) -> Result<HttpResponse, PageError> {
    let fields = Fields::new(body.pairs().await?);
    let place = Place::of_owner(&person, &fields).await?;
    make(person, source, place, fields).await
}

/// `POST /console/environments/{id}/tokens/new`: the same.
pub(in crate::http::console) async fn act_of_environment(
    person: Person,
    source: Source,
    environment: Path<String>,
    body: Body,
) -> Result<HttpResponse, PageError> {
    let fields = Fields::new(body.pairs().await?);
    let place = Place::of_environment(&person, &environment).await?;
    make(person, source, place, fields).await
}

async fn make(person: Person, source: Source, place: Place, fields: Fields) -> Result<HttpResponse, PageError> {
    let tried = match fields.text("do") {
        "create" => create(&person, source, &place, &fields).await,
        "change" => return form(&person, &place, StatusCode::OK, &fields, FormErrors::default()).await,
        _ => review(&person, &place, &fields).await,
    };
    match tried {
        Ok(response) => Ok(response),
        Err(error) => {
            let (status, mut errors) = FormErrors::of(&person.look, error)?;
            errors.name_items("abilities", &abilities(&fields));
            form(&person, &place, status, &fields, errors).await
        }
    }
}

async fn review(person: &Person, place: &Place, fields: &Fields) -> Result<HttpResponse, PageError> {
    let (texts, ctx, user) = (person.look.texts, person.ops(), person.user.user.id);
    let form = read(person, fields)?;
    let (request, preview, owners, environment) = match place {
        Place::Owner(owner) => {
            let request = form.personal(*owner);
            expect_useful(person, &request).await?;
            let preview = tokens::preview(ctx, person.user.authority_to_grant(*owner), &request)?;
            (request, preview, owner_choices(person, *owner).await?, String::new())
        }
        Place::Environment(access) => {
            let request = form.personal(user);
            let preview = tokens::preview(ctx, Authority::User(user), &request)?;
            (request, preview, Vec::new(), access.environment.name.to_string())
        }
    };
    let page = ReviewPage {
        layout: Layout::of(person, &texts.say("review-title")),
        action: place.form(),
        environment,
        fields: fields
            .pairs()
            .filter(|(name, _)| *name != "do")
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect(),
        name: request.name.to_string(),
        description: request.annotations.description.as_ref().map(|text| text.as_str().to_owned()).unwrap_or_default(),
        owner: owners.into_iter().find(|owner| owner.is_chosen).map(|owner| owner.name).unwrap_or_default(),
        is_full: preview.abilities.cover("*"),
        abilities: preview.abilities.iter().map(ToString::to_string).collect(),
        expires: preview.expires_at.map(|at| When::new(texts, at, ctx.clock.now())),
        is_canary: request.is_canary,
        networks: request.limits.allowlist.networks().iter().map(ToString::to_string).collect(),
        requests_per_minute: request.limits.requests_per_minute.map(|number| number.to_string()).unwrap_or_default(),
        quota: request.limits.quota.map(|number| number.to_string()).unwrap_or_default(),
        metadata: request.annotations.metadata.iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect(),
        policies: ctx.rules.policies.iter().map(|policy| opened(policy, place.kind(), &preview)).collect(),
    };
    Ok(show_page(StatusCode::OK, &page))
}

async fn expect_useful(person: &Person, request: &TokenRequest) -> Result<(), PageError> {
    if request.owner != person.user.user.id {
        owners::expect_useful(person.ops(), request.owner, request.abilities.as_ref()).await?;
    }
    Ok(())
}

async fn create(person: &Person, source: Source, place: &Place, fields: &Fields) -> Result<HttpResponse, PageError> {
    let ctx = person.ops();
    let read = read(person, fields)?;
    let form = form_id(fields, ctx.clock.now());
    let form = form.ok_or_else(|| ApiError::Malformed(person.look.texts.say("new-form-too-old")))?;
    let id = tokens::id_for(person.user.session.id, form);
    if let Some(page) = already_created(person, place, id).await? {
        return Ok(page);
    }
    let by = source.by(&person.user);
    let created = match place {
        Place::Owner(owner) => {
            let request = TokenRequest { id: Some(id), ..read.personal(*owner) };
            expect_useful(person, &request).await?;
            tokens::create(ctx, person.user.authority_to_grant(*owner), request, by).await
        }
        Place::Environment(access) => {
            let request = EnvironmentTokenRequest { id: Some(id), ..read.of_environment() };
            environment_tokens::create(ctx, person.user.user.id, access.environment.id, request, by).await
        }
    };
    match created {
        Ok(issued) => Ok(secret::page(person, &issued, String::new(), place)),
        // Another request with the same form may have been faster.
        Err(error) => match already_created(person, place, id).await {
            Ok(Some(page)) => Ok(page),
            _ => Err(error.into()),
        },
    }
}

/// The page for a form that has made its token before: the secret is not shown again.
async fn already_created(person: &Person, place: &Place, id: TokenId) -> Result<Option<HttpResponse>, PageError> {
    let found = match place {
        Place::Owner(owner) => tokens::show(person.ops(), (*owner).into(), id).await,
        Place::Environment(access) => {
            environment_tokens::get(person.ops(), person.user.user.id, access.environment.id, id).await
        }
    };
    let token = match found {
        Ok(token) => token,
        Err(ops::Error::NotFound) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let page = AlreadyCreatedPage {
        layout: Layout::of(person, &person.look.texts.say("already-title")),
        page: place.page_of(token.id),
        name: token.name.to_string(),
    };
    Ok(Some(show_page(StatusCode::CONFLICT, &page)))
}
