//! Creates, lists and changes personal access tokens. Tokens of environments share some of these rules.

use uuid::Uuid;

pub use super::expiry::Expiry;
use super::{
    context::Context,
    cursor::{List, ListScope},
    error::{Error, FieldError},
    expiry,
    new_id::id_to_make,
    usage_limits,
};
use crate::{
    domain::{
        ability::{Abilities, Ability, ServerAbility},
        annotations::{Annotations, Metadata},
        audit::{Attribution, RequestSource},
        authority::Authority,
        id::{EnvironmentId, SessionId, TokenId, UserId},
        page::{self, Page},
        secret::{CredentialKind, Plaintext},
        text::Name,
        time::Timestamp,
        token::{IssuedToken, NewToken, Token, TokenState},
        usage_limits::UsageLimits,
    },
    store::{ChangedToken, Conflict, StoreError, TokenChange, TokenQuery},
};

/// The data of a new token.
#[derive(Clone, Debug)]
pub struct TokenRequest {
    /// Its id, if the caller has chosen one ([`id_for`]), so that a request that is sent twice makes one token.
    pub id: Option<TokenId>,
    /// The owner.
    pub owner: UserId,
    /// The name.
    pub name: Name,
    /// The abilities. `None` if the request names none: full access, unless `tokens.require_abilities` is set.
    pub abilities: Option<Abilities>,
    /// The requested expiry.
    pub expiry: Expiry,
    /// The usage limits.
    pub limits: UsageLimits,
    /// The description and the metadata.
    pub annotations: Annotations,
    /// Whether it is a canary token.
    pub is_canary: bool,
}

/// Creates a token. Its secret is in the answer and nowhere else. The token is valid once it is in the store. Only an
/// administrator can grant reserved abilities.
pub async fn create(
    ctx: &Context,
    authority: Authority,
    request: TokenRequest,
    source: RequestSource,
) -> Result<IssuedToken, Error> {
    if !authority.covers(request.owner) {
        return Err(Error::NotFound);
    }
    let by = ctx.attribution_to_issue(source)?;
    let (new, plaintext) = prepare(ctx, authority, request, None, &by)?;
    let token = ctx.store.add_token(new, ctx.rules.max_tokens_per_user, by).await.map_err(|error| match error {
        StoreError::Conflict(Conflict::TooManyTokens) => too_many("The owner has", ctx.rules.max_tokens_per_user),
        other => other.into(),
    })?;
    Ok(IssuedToken { plaintext: plaintext.numbered(token.number), quota_left: full_quota(&token), token })
}

/// Checks a request and generates a secret for it: for a token of a user, or of `environment`.
pub(super) fn prepare(
    ctx: &Context,
    authority: Authority,
    request: TokenRequest,
    environment: Option<EnvironmentId>,
    by: &Attribution,
) -> Result<(NewToken, Plaintext), Error> {
    let now = by.at;
    let abilities = check_abilities(ctx, request.abilities, authority)?;
    let expires_at = expiry::of_new(&ctx.rules.token_lifetimes, request.expiry, now)?;
    let kind = match environment {
        Some(_) => CredentialKind::EnvironmentToken,
        None => CredentialKind::PersonalAccessToken,
    };
    let plaintext = Plaintext::generate(kind, &ctx.rules.prefixes)?;
    let id = request.id.unwrap_or_else(|| TokenId::new(id_to_make(&by.origin)));
    let new = NewToken {
        id,
        owner: request.owner,
        environment,
        name: request.name,
        abilities,
        hash: plaintext.hash(),
        hint: plaintext.hint(),
        created_at: now,
        expires_at,
        family: id,
        rotated_from: None,
        limits: request.limits.boxed(),
        annotations: request.annotations.boxed(),
        is_canary: request.is_canary,
    };
    Ok((new, plaintext))
}

/// What a new token would get.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenPreview {
    /// The abilities.
    pub abilities: Abilities,
    /// The expiry. `None` means never.
    pub expires_at: Option<Timestamp>,
}

/// Checks a request for a new token as [`create`] does, without creating one. How many tokens the owner has is not checked.
pub fn preview(ctx: &Context, authority: Authority, request: &TokenRequest) -> Result<TokenPreview, Error> {
    if !authority.covers(request.owner) {
        return Err(Error::NotFound);
    }
    ctx.expect_reliable_clock()?;
    let abilities = check_abilities(ctx, request.abilities.clone(), authority)?;
    let expires_at = expiry::of_new(&ctx.rules.token_lifetimes, request.expiry, ctx.clock.recordable())?;
    Ok(TokenPreview { abilities, expires_at })
}

/// The id of the token that `session` creates with the form `form`, which is a UUID of version 7. It is the same for each
/// request with this form, and no client can choose it: all but its time is a hash.
pub fn id_for(session: SessionId, form: Uuid) -> TokenId {
    let mut hashed = [session.uuid().into_bytes(), form.into_bytes()].concat();
    hashed = blake3::hash(&hashed).as_bytes()[..16].to_vec();
    hashed[..6].copy_from_slice(&form.into_bytes()[..6]);
    let bytes = <[u8; 16]>::try_from(hashed).expect("16 bytes");
    TokenId::new(uuid::Builder::from_custom_bytes(bytes).with_version(uuid::Version::SortRand).into_uuid())
}

fn check_abilities(ctx: &Context, abilities: Option<Abilities>, authority: Authority) -> Result<Abilities, Error> {
    let abilities = match abilities {
        Some(abilities) => abilities,
        None if ctx.rules.require_abilities => {
            let predicate = "is required on this server. Name each ability, or * for full access.";
            return Err(FieldError::new("abilities", predicate).into());
        }
        None => Abilities::full(),
    };
    let mut errors = Vec::new();
    for (at, ability) in abilities.iter().enumerate() {
        let field = format!("abilities.{at}");
        if ability.is_reserved() && !authority.is_administrator() {
            errors.push(FieldError::new(field, "is reserved: only the server's administrator can grant it."));
        } else if !is_known(&ctx.rules.catalogue, ability) {
            errors.push(FieldError::new(field, "is not an ability that this server knows."));
        }
    }
    if errors.is_empty() { Ok(abilities) } else { Err(Error::Invalid(errors)) }
}

/// An ability is known if the catalogue or the server has it, or if it is a wildcard that covers one of those.
pub fn is_known(catalogue: &[Ability], ability: &Ability) -> bool {
    catalogue.is_empty()
        || catalogue.iter().any(|known| ability.covers(known.as_str()))
        || ServerAbility::ALL.into_iter().any(|known| ability.covers(known.as_str()))
}

/// `who` is a subject with a verb: "The owner has".
pub(super) fn too_many(who: &str, limit: u32) -> Error {
    let message = format!("{who} {limit} live tokens, as many as this server allows. Revoke one first.");
    FieldError { field: "name".into(), message }.into()
}

/// Which page of the tokens to list.
#[derive(Clone, Debug)]
pub struct ListRequest {
    /// Only tokens whose name contains this text.
    pub search: Option<String>,
    /// Only tokens that have all these keys with these values.
    pub metadata: Metadata,
    /// Only tokens in this state. `None` means all except the revoked ones.
    pub state: Option<TokenState>,
    /// The cursor of the previous page.
    pub cursor: Option<String>,
    /// The most items of the page.
    pub limit: u32,
}

/// Lists the owner's tokens, newest first, with their latest use.
pub async fn list(ctx: &Context, owner: UserId, request: ListRequest) -> Result<Page<Token>, Error> {
    let now = ctx.clock.now();
    let scope = scope(owner.uuid(), &request);
    let (query, limit) = query(ctx, request, List::Tokens, scope, now)?;
    let tokens = ctx.store.tokens_of(owner, query, now).await?;
    Ok(page(ctx, tokens, limit, List::Tokens, scope))
}

/// What a cursor of such a list of `owner` (a user or an environment) belongs to.
pub(super) fn scope(owner: Uuid, request: &ListRequest) -> ListScope {
    let ListRequest { search, metadata, state, cursor: _, limit: _ } = request;
    ListScope::search(owner, (search, metadata, state))
}

/// The query for one page of the list, and the most tokens of the page.
pub(super) fn query(
    ctx: &Context,
    request: ListRequest,
    list: List,
    scope: ListScope,
    now: Timestamp,
) -> Result<(TokenQuery, u32), Error> {
    let ListRequest { search, metadata, state, cursor, limit } = request;
    let before = cursor.map(|cursor| list.parse_cursor(scope, &cursor)).transpose()?;
    let idle_since = ctx.rules.token_lifetimes.idle_since(now);
    // One token more shows whether there is another page.
    Ok((TokenQuery { search, metadata, state, idle_since, before, limit: limit + 1 }, limit))
}

/// Makes a page of the tokens that the store returned.
pub(super) fn page(ctx: &Context, mut tokens: Vec<Token>, limit: u32, list: List, scope: ListScope) -> Page<Token> {
    let has_more = page::cut(&mut tokens, limit as usize, Token::listed_size);
    let next_cursor = tokens.last().filter(|_| has_more).map(|last| list.write_cursor(scope, last.number));
    for token in &mut tokens {
        apply_unwritten_use(ctx, token);
    }
    Page { items: tokens, next_cursor }
}

/// A personal token of the owner that is not revoked.
pub async fn get(ctx: &Context, owner: UserId, id: TokenId) -> Result<Token, Error> {
    visible(ctx, Authority::User(owner), ctx.store.token(id).await?)
}

/// A token in any state. A user sees their personal tokens here, an administrator every token.
pub async fn show(ctx: &Context, authority: Authority, id: TokenId) -> Result<Token, Error> {
    visible(ctx, authority, ctx.store.token_in_any_state(id).await?)
}

fn visible(ctx: &Context, authority: Authority, mut token: Token) -> Result<Token, Error> {
    let is_visible = match authority {
        Authority::User(owner) => token.owner == owner && token.environment.is_none(),
        Authority::Administrator(_) => true,
    };
    if !is_visible {
        return Err(Error::NotFound);
    }
    apply_unwritten_use(ctx, &mut token);
    Ok(token)
}

/// Changes name and annotations of a token of the owner.
pub async fn change(
    ctx: &Context,
    owner: UserId,
    id: TokenId,
    change: TokenChange,
    source: RequestSource,
) -> Result<TokenDetails, Error> {
    Ok(details(ctx, ctx.store.change_token(owner, id, change, ctx.attribution(source)).await?))
}

/// A token with all that is shown of it.
#[derive(Clone, Debug)]
pub struct TokenDetails {
    /// The token with its latest use. Its expiry is the effective one: expiry or idle time, whichever is first.
    pub token: Token,
    /// How many uses of its quota are left. `None` if it has no quota.
    pub quota_left: Option<u32>,
    /// Its latest successor.
    pub successor: Option<TokenId>,
}

/// The details of a token that was changed. It reads nothing from the store: the change is committed, so the answer must
/// not fail any more.
pub(super) fn details(ctx: &Context, changed: ChangedToken) -> TokenDetails {
    let ChangedToken { mut token, quota_used, successor } = changed;
    apply_unwritten_use(ctx, &mut token);
    TokenDetails { quota_left: usage_limits::quota_left(ctx, &token, quota_used), token, successor }
}

/// The quota of a token that nobody has used.
pub(super) fn full_quota(token: &Token) -> Option<u32> {
    token.limits.as_ref()?.quota
}

/// Sets what lists show: the latest use, even if it is not written yet, and the effective expiry.
pub(super) fn apply_unwritten_use(ctx: &Context, token: &mut Token) {
    token.last_used_at = ctx.uses.latest_token(token.number, token.last_used_at);
    token.expires_at = ctx.rules.token_lifetimes.end_of(token);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_catalogue_knows_its_abilities_and_the_wildcards_that_cover_them() {
        let catalogue = [Ability::parse("calls:read").unwrap()];
        let known = |text| is_known(&catalogue, &Ability::parse(text).unwrap());
        assert!(known("calls:read") && known("calls:*") && known("*") && known("user:read"));
        assert!(!known("calls:write") && !known("calls") && !known("agents:*"));
    }
}
