//! The summary of a new token, and its creation.

use actix_web::{HttpResponse, http::StatusCode};
use askama::Template;

use super::{
    list::owner_of,
    new::{form, read},
    owner_choices, rule_in_words, secret,
};
use crate::{
    domain::{
        id::{TokenId, UserId},
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
        self, owners,
        tokens::{self, TokenPreview, TokenRequest},
    },
};

#[derive(Template)]
#[template(path = "review_token.html")]
struct ReviewPage {
    layout: Layout,
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

fn opened(policy: &Policy, preview: &TokenPreview) -> Opened {
    let lets_through = |rule: &&Rule| match &rule.access {
        Access::Public => false,
        Access::Credential { kinds, abilities } => {
            kinds.contains(&CredentialKind::PersonalAccessToken)
                && abilities.iter().all(|needed| preview.abilities.cover(needed.as_str()))
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
    id: String,
    name: String,
}

/// `POST /console/tokens/new`: shows the summary, and then makes the token. A form that is sent twice makes one token.
pub(in crate::http::console) async fn act(
    person: Person,
    source: Source,
    body: Body,
) -> Result<HttpResponse, PageError> {
    let fields = Fields::new(body.pairs().await?);
    let tried = match fields.text("do") {
        "create" => create(&person, source, &fields).await,
        "change" => return form(&person, StatusCode::OK, &fields, FormErrors::default()).await,
        _ => review(&person, &fields).await,
    };
    match tried {
        Ok(response) => Ok(response),
        Err(error) => {
            let (status, errors) = FormErrors::of(&person.look, error)?;
            form(&person, status, &fields, errors).await
        }
    }
}

async fn review(person: &Person, fields: &Fields) -> Result<HttpResponse, PageError> {
    let (texts, ctx) = (person.look.texts, person.ops());
    let owner = owner_of(person, fields).await?;
    let request = read(person, fields, owner)?;
    expect_useful(person, &request).await?;
    let preview = tokens::preview(ctx, person.user.authority_to_grant(owner), &request)?;
    let owners = owner_choices(person, owner).await?;
    let skipped = ["do"];
    let page = ReviewPage {
        layout: Layout::of(person, &texts.say("review-title")),
        fields: fields
            .pairs()
            .filter(|(name, _)| !skipped.contains(name))
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
        policies: ctx.rules.policies.iter().map(|policy| opened(policy, &preview)).collect(),
    };
    Ok(show_page(StatusCode::OK, &page))
}

async fn expect_useful(person: &Person, request: &TokenRequest) -> Result<(), PageError> {
    if request.owner != person.user.user.id {
        owners::expect_useful(person.ops(), request.owner, request.abilities.as_ref()).await?;
    }
    Ok(())
}

async fn create(person: &Person, source: Source, fields: &Fields) -> Result<HttpResponse, PageError> {
    let ctx = person.ops();
    let owner = owner_of(person, fields).await?;
    let request = read(person, fields, owner)?;
    expect_useful(person, &request).await?;
    let form = form_id(fields, ctx.clock.now());
    let form = form.ok_or_else(|| ApiError::Malformed(person.look.texts.say("new-form-too-old")))?;
    let id = tokens::id_for(person.user.session.id, form);
    if let Some(page) = already_created(person, owner, id).await? {
        return Ok(page);
    }
    let request = TokenRequest { id: Some(id), ..request };
    let by = source.by(&person.user);
    match tokens::create(ctx, person.user.authority_to_grant(owner), request, by).await {
        Ok(issued) => {
            let page = format!("/console/tokens/{}", issued.token.id);
            Ok(secret::page(person, &issued, String::new(), page))
        }
        // Another request with the same form may have been faster.
        Err(error) => match already_created(person, owner, id).await {
            Ok(Some(page)) => Ok(page),
            _ => Err(error.into()),
        },
    }
}

/// The page for a form that has made its token before: the secret is not shown again.
async fn already_created(person: &Person, owner: UserId, id: TokenId) -> Result<Option<HttpResponse>, PageError> {
    let token = match tokens::show(person.ops(), owner.into(), id).await {
        Ok(token) => token,
        Err(ops::Error::NotFound) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let page = AlreadyCreatedPage {
        layout: Layout::of(person, &person.look.texts.say("already-title")),
        id: token.id.to_string(),
        name: token.name.to_string(),
    };
    Ok(Some(show_page(StatusCode::CONFLICT, &page)))
}
