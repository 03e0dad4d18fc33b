//! Personal access tokens: making, listing, renaming and revoking them; and the rules that tokens of environments share.

use uuid::Uuid;

pub use super::expiry::Expiry;
use super::{
    context::Context,
    cursor::List,
    error::{Error, FieldError},
    expiry,
    new_id::new_id,
    usage_limits,
};
use crate::{
    domain::{
        ability::{Abilities, Ability, ServerAbility},
        audit::{Actor, Attribution, RequestSource},
        id::{EnvironmentId, TokenId, UserId},
        page,
        secret::{CredentialKind, Plaintext},
        text::Name,
        time::Timestamp,
        token::{IssuedToken, NewToken, Token, TokenState},
        usage_limits::UsageLimits,
    },
    store::{ChangedToken, Conflict, StoreError, TokenQuery},
};

/// What makes a token.
#[derive(Clone, Debug)]
pub struct TokenRequest {
    /// Whose it will be.
    pub owner: UserId,
    /// What it is called.
    pub name: Name,
    /// What it may do; `None` where its maker does not say: full access, unless `tokens.require_abilities` wants it said.
    pub abilities: Option<Abilities>,
    /// When it ends.
    pub expiry: Expiry,
    /// From where and how much it may be used.
    pub limits: UsageLimits,
}

/// Makes a token. Its plaintext is in the answer and nowhere else, and it is valid from the moment it is on disk. Nobody
/// but the administrator may grant server-wide powers.
pub async fn create(ctx: &Context, request: TokenRequest, origin: RequestSource) -> Result<IssuedToken, Error> {
    let by = ctx.attribution_to_issue(origin)?;
    let (new, plaintext) = prepare(ctx, request, None, &by)?;
    let token = ctx.store.add_token(new, ctx.rules.max_tokens_per_user, by).await.map_err(|error| match error {
        StoreError::Conflict(Conflict::TooManyTokens) => too_many("You have", ctx.rules.max_tokens_per_user),
        other => other.into(),
    })?;
    Ok(IssuedToken { plaintext: plaintext.numbered(token.number), quota_left: full_quota(&token), token })
}

/// Judges what is asked for, and makes a secret for it: of a person, or of `environment`.
pub(super) fn prepare(
    ctx: &Context,
    request: TokenRequest,
    environment: Option<EnvironmentId>,
    by: &Attribution,
) -> Result<(NewToken, Plaintext), Error> {
    let now = by.at;
    let abilities = judge_abilities(ctx, request.abilities, by.origin.actor)?;
    let expires_at = expiry::of_new(&ctx.rules.token_lifetimes, request.expiry, now)?;
    let kind = match environment {
        Some(_) => CredentialKind::EnvironmentToken,
        None => CredentialKind::PersonalAccessToken,
    };
    let plaintext = Plaintext::generate(kind, &ctx.rules.prefixes)?;
    let id = TokenId::new(new_id());
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
    };
    Ok((new, plaintext))
}

fn judge_abilities(ctx: &Context, abilities: Option<Abilities>, actor: Actor) -> Result<Abilities, Error> {
    let abilities = match abilities {
        Some(abilities) => abilities,
        None if ctx.rules.require_abilities => {
            let predicate = "is required on this server. Name each ability, or * for full access.";
            return Err(FieldError::new("abilities", predicate).into());
        }
        None => Abilities::full(),
    };
    let mut violations = Vec::new();
    for (at, ability) in abilities.iter().enumerate() {
        let field = format!("abilities.{at}");
        if ability.is_reserved() && actor != Actor::CommandLine {
            violations.push(FieldError::new(field, "is reserved: only the server's administrator can grant it."));
        } else if !is_known(&ctx.rules.catalogue, ability) {
            violations.push(FieldError::new(field, "is not an ability that this server knows."));
        }
    }
    if violations.is_empty() { Ok(abilities) } else { Err(Error::Invalid(violations)) }
}

/// Known is what the catalogue or the server itself names, and a wildcard that covers some of it.
fn is_known(catalogue: &[Ability], ability: &Ability) -> bool {
    catalogue.is_empty()
        || catalogue.iter().any(|known| ability.covers(known.as_str()))
        || ServerAbility::ALL.into_iter().any(|power| ability.covers(power.as_str()))
}

/// `who` is a person with a verb: "You have".
pub(super) fn too_many(who: &str, limit: u32) -> Error {
    let message = format!("{who} {limit} live tokens, as many as this server allows. Revoke one first.");
    FieldError { field: "name".into(), message }.into()
}

/// Which of their tokens a person wants to see.
#[derive(Clone, Debug)]
pub struct ListRequest {
    /// Only those whose name holds this text.
    pub search: Option<String>,
    /// Only those in this state; `None` is all but the revoked.
    pub state: Option<TokenState>,
    /// Where the previous page ended, as it was told with that page.
    pub cursor: Option<String>,
    /// At most so many.
    pub limit: u32,
}

/// One page of tokens.
#[derive(Clone, Debug)]
pub struct Page {
    /// The tokens, newest first.
    pub tokens: Vec<Token>,
    /// Asks for the next page; `None` on the last.
    pub next_cursor: Option<String>,
}

/// Lists the owner's tokens, newest first, with their latest use.
pub async fn list(ctx: &Context, owner: UserId, request: ListRequest) -> Result<Page, Error> {
    let now = ctx.clock.now();
    let (query, limit) = query(ctx, request, List::Tokens, owner.uuid(), now)?;
    let tokens = ctx.store.tokens_of(owner, query, now).await?;
    Ok(page(ctx, tokens, limit, List::Tokens, owner.uuid()))
}

/// What to ask the store at `now` for one page of the list of `whose`, and how many tokens are on the page.
pub(super) fn query(
    ctx: &Context,
    request: ListRequest,
    list: List,
    whose: Uuid,
    now: Timestamp,
) -> Result<(TokenQuery, u32), Error> {
    let ListRequest { search, state, cursor, limit } = request;
    let before = cursor.map(|cursor| list.parse_cursor(whose, &cursor)).transpose()?;
    let idle_since = ctx.rules.token_lifetimes.idle_since(now);
    // One more, which tells whether there is another page.
    Ok((TokenQuery { search, state, idle_since, before, limit: limit + 1 }, limit))
}

/// The page of the tokens that the store answered.
pub(super) fn page(ctx: &Context, mut tokens: Vec<Token>, limit: u32, list: List, whose: Uuid) -> Page {
    let has_more = page::cut(&mut tokens, limit as usize, Token::listed_size);
    let next_cursor = tokens.last().filter(|_| has_more).map(|last| list.write_cursor(whose, last.number));
    for token in &mut tokens {
        apply_unwritten_use(ctx, token);
    }
    Page { tokens, next_cursor }
}

/// One personal token of the owner that is not revoked.
pub async fn get(ctx: &Context, owner: UserId, id: TokenId) -> Result<Token, Error> {
    own(ctx, owner, ctx.store.token(id).await?)
}

/// The same in any state: what a list of revoked tokens shows can be looked at by itself.
pub async fn show(ctx: &Context, owner: UserId, id: TokenId) -> Result<Token, Error> {
    own(ctx, owner, ctx.store.token_in_any_state(id).await?)
}

fn own(ctx: &Context, owner: UserId, mut token: Token) -> Result<Token, Error> {
    if token.owner != owner || token.environment.is_some() {
        return Err(Error::NotFound);
    }
    apply_unwritten_use(ctx, &mut token);
    Ok(token)
}

/// One token of whatever kind and state, whoever owns it: for the administrator.
pub async fn find(ctx: &Context, id: TokenId) -> Result<Token, Error> {
    Ok(ctx.store.token_in_any_state(id).await?)
}

/// Gives a token of the owner another name.
pub async fn rename(
    ctx: &Context,
    owner: UserId,
    id: TokenId,
    name: Name,
    origin: RequestSource,
) -> Result<TokenDetails, Error> {
    Ok(details(ctx, ctx.store.rename_token(owner, id, name, ctx.attribution(origin)).await?))
}

/// A token with all that is shown of it.
#[derive(Clone, Debug)]
pub struct TokenDetails {
    /// The token, with its latest use and the end that comes first.
    pub token: Token,
    /// How many uses of its quota are left. `None` if it has no quota.
    pub quota_left: Option<u32>,
    /// Its latest successor.
    pub successor: Option<TokenId>,
}

/// What is shown of a token that was changed. It reads nothing from the store: the change is committed, so the answer
/// must not fail any more.
pub(super) fn details(ctx: &Context, changed: ChangedToken) -> TokenDetails {
    let ChangedToken { mut token, quota_used, successor } = changed;
    apply_unwritten_use(ctx, &mut token);
    TokenDetails { quota_left: usage_limits::quota_left(ctx, &token, quota_used), token, successor }
}

/// The quota of a token that nobody has used.
pub(super) fn full_quota(token: &Token) -> Option<u32> {
    token.limits.as_ref()?.quota
}

/// What lists show: the latest use, also where it is not on disk, and the end that comes first.
pub(super) fn apply_unwritten_use(ctx: &Context, token: &mut Token) {
    token.last_used_at = ctx.uses.latest_token(token.number, token.last_used_at);
    token.expires_at = ctx.rules.token_lifetimes.end_of(token);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_catalogue_knows_its_own_words_and_the_wildcards_above_them() {
        let catalogue = [Ability::parse("calls:read").unwrap()];
        let known = |text| is_known(&catalogue, &Ability::parse(text).unwrap());
        assert!(known("calls:read") && known("calls:*") && known("*") && known("user:read"));
        assert!(!known("calls:write") && !known("calls") && !known("agents:*"));
    }
}
