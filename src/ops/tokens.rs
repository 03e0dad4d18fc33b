//! Personal access tokens: making, listing, renaming and revoking them.

use std::time::Duration;

use uuid::Uuid;

use super::{Context, Error, Violation};
use crate::{
    domain::{
        ability::{Abilities, Ability, Power},
        id::{SessionId, TokenId, UserId},
        secret::{CredentialKind, Plaintext, Presented},
        text::Name,
        time::Timestamp,
        token::{IssuedToken, NewToken, Revocation, RevocationReason, Token, TokenState},
    },
    store::{Conflict, StoreError, TokenQuery},
};

/// When a new token is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expiry {
    /// Only by being revoked.
    Never,
    /// At this time, which must lie ahead.
    At(Timestamp),
    /// This long after it is made.
    After(Duration),
}

/// On whose authority a token is made, which decides what it may be granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grantor {
    /// Its owner, by this session over the API: no server-wide powers.
    Owner(SessionId),
    /// Whoever holds the machine, from the command line.
    Administrator,
}

/// What makes a token.
#[derive(Clone, Debug)]
pub struct TokenRequest {
    /// Whose it will be.
    pub owner: UserId,
    /// What it is called.
    pub name: Name,
    /// What it may do.
    pub abilities: Abilities,
    /// When it ends.
    pub expiry: Expiry,
    /// Who makes it.
    pub grantor: Grantor,
}

/// Makes a token. Its plaintext is in the answer and nowhere else, and it is valid from the moment it is on disk.
pub async fn create(ctx: &Context, request: TokenRequest) -> Result<IssuedToken, Error> {
    let now = ctx.clock.now();
    judge_abilities(ctx, &request)?;
    let expires_at = match request.expiry {
        Expiry::Never => None,
        Expiry::At(end) if end > now => Some(end),
        Expiry::At(_) => {
            return Err(Violation::new("expires_at", "must be a time in the future.").into());
        }
        Expiry::After(lifetime) => Some(now.plus(lifetime)),
    };
    let plaintext = Plaintext::generate(CredentialKind::PersonalAccessToken, &ctx.rules.prefixes)?;
    let new = NewToken {
        id: TokenId::new(Uuid::now_v7()),
        owner: request.owner,
        name: request.name,
        abilities: request.abilities,
        hash: plaintext.hash(),
        hint: plaintext.hint(),
        created_at: now,
        expires_at,
        limits: None,
        authority: match request.grantor {
            Grantor::Owner(session) => Some(session),
            Grantor::Administrator => None,
        },
    };
    let token = ctx.store.add_token(new, ctx.rules.max_tokens_per_user).await.map_err(|error| match error {
        StoreError::Conflict(Conflict::TooManyTokens) => too_many(ctx.rules.max_tokens_per_user),
        other => other.into(),
    })?;
    Ok(IssuedToken { plaintext: plaintext.numbered(token.number), token })
}

fn judge_abilities(ctx: &Context, request: &TokenRequest) -> Result<(), Error> {
    let mut violations = Vec::new();
    for (at, ability) in request.abilities.iter().enumerate() {
        let field = format!("abilities.{at}");
        if ability.is_reserved() && request.grantor != Grantor::Administrator {
            violations.push(Violation::new(field, "is reserved: only the server's administrator can grant it."));
        } else if !is_known(&ctx.rules.catalogue, ability) {
            violations.push(Violation::new(field, "is not an ability that this server knows."));
        }
    }
    if violations.is_empty() { Ok(()) } else { Err(Error::Invalid(violations)) }
}

/// Known is what the catalogue or the server itself names, and a wildcard that covers some of it.
fn is_known(catalogue: &[Ability], ability: &Ability) -> bool {
    catalogue.is_empty()
        || catalogue.iter().any(|known| ability.covers(known.as_str()))
        || Power::ALL.into_iter().any(|power| ability.covers(power.as_str()))
}

fn too_many(limit: u32) -> Error {
    let message = format!("You have {limit} live tokens, as many as this server allows. Revoke one first.");
    Violation { field: "name".into(), message }.into()
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
    let before = request.cursor.map(|cursor| parse_cursor(owner, &cursor)).transpose()?;
    let query = TokenQuery { search: request.search, state: request.state, before, limit: request.limit + 1 };
    let mut tokens = ctx.store.tokens_of(owner, query, ctx.clock.now()).await?;
    let more = tokens.len() > request.limit as usize;
    tokens.truncate(request.limit as usize);
    let next_cursor = tokens.last().filter(|_| more).map(|last| write_cursor(owner, last.number));
    for token in &mut tokens {
        freshen(ctx, token);
    }
    Ok(Page { tokens, next_cursor })
}

/// One token of the owner that is not revoked.
pub async fn get(ctx: &Context, owner: UserId, id: TokenId) -> Result<Token, Error> {
    let mut token = ctx.store.token(id).await?;
    if token.owner != owner {
        return Err(Error::NotFound);
    }
    freshen(ctx, &mut token);
    Ok(token)
}

/// One token that is not revoked, whoever owns it: for the administrator.
pub async fn find(ctx: &Context, id: TokenId) -> Result<Token, Error> {
    Ok(ctx.store.token(id).await?)
}

/// Gives a token of the owner another name.
pub async fn rename(ctx: &Context, owner: UserId, id: TokenId, name: Name) -> Result<Token, Error> {
    let mut token = ctx.store.rename_token(owner, id, name).await?;
    freshen(ctx, &mut token);
    Ok(token)
}

/// Revokes a token of the owner: at once and for good. A check that starts after the answer is refused.
pub async fn revoke(ctx: &Context, owner: UserId, id: TokenId) -> Result<(), Error> {
    Ok(ctx.store.revoke_token(owner, id, revocation(ctx)).await?)
}

/// Ends the token or session whose secret this is, whatever its state (RFC 7009): whoever holds it may. A secret of
/// nothing is no error, so that the answer tells nobody what exists.
pub async fn revoke_by_possession(ctx: &Context, credential: &str) -> Result<(), Error> {
    let Ok(presented) = Presented::parse(credential, &ctx.rules.prefixes) else { return Ok(()) };
    let ended = match presented.kind {
        CredentialKind::Session => match ctx.store.session_by_hash(&presented.hash).await? {
            Some(record) => ctx.store.end_session(record.session.user, record.session.id).await,
            None => Ok(()),
        },
        CredentialKind::PersonalAccessToken => match ctx.store.token_by_hash(&presented.hash).await? {
            Some(record) if presented.number.is_none_or(|number| number == record.token.number) => {
                ctx.store.revoke_token(record.token.owner, record.token.id, revocation(ctx)).await
            }
            _ => Ok(()),
        },
        CredentialKind::EnvironmentToken => Ok(()),
    };
    match ended {
        // Somebody else ended it meanwhile, or it was ended before.
        Err(StoreError::NotFound) => Ok(()),
        ended => Ok(ended?),
    }
}

fn revocation(ctx: &Context) -> Revocation {
    Revocation { at: ctx.clock.now(), reason: RevocationReason::RevokedByOwner }
}

fn freshen(ctx: &Context, token: &mut Token) {
    token.last_used_at = ctx.uses.latest_token(token.id, token.last_used_at);
}

/// A cursor is a row number and a tag of its owner. The tag is no secret: it keeps a cursor from being used with
/// another account by mistake, and the query looks at the owner's rows alone in any case.
fn write_cursor(owner: UserId, number: i64) -> String {
    format!("{number:016x}{}", cursor_tag(owner, number))
}

fn parse_cursor(owner: UserId, text: &str) -> Result<i64, Error> {
    text.get(..16)
        .and_then(|number| i64::from_str_radix(number, 16).ok())
        .filter(|number| write_cursor(owner, *number) == text)
        .ok_or_else(|| Violation::new("cursor", "must be a next_cursor that was answered to you.").into())
}

fn cursor_tag(owner: UserId, number: i64) -> String {
    let mut hasher = blake3::Hasher::new_derive_key("patd token list cursor v1");
    hasher.update(owner.uuid().as_bytes()).update(&number.to_be_bytes());
    hasher.finalize().to_hex()[..16].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_comes_back_for_its_owner_alone() {
        let (ada, bob) = (UserId::new(Uuid::from_u128(1)), UserId::new(Uuid::from_u128(2)));
        let cursor = write_cursor(ada, 42);
        assert_eq!(parse_cursor(ada, &cursor), Ok(42));
        assert!(parse_cursor(bob, &cursor).is_err());
        for bad in ["", "x", &cursor[1..], &cursor.to_uppercase(), "é".repeat(16).as_str()] {
            assert!(parse_cursor(ada, bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_catalogue_knows_its_own_words_and_the_wildcards_above_them() {
        let catalogue = [Ability::parse("calls:read").unwrap()];
        let known = |text| is_known(&catalogue, &Ability::parse(text).unwrap());
        assert!(known("calls:read") && known("calls:*") && known("*") && known("user:read"));
        assert!(!known("calls:write") && !known("calls") && !known("agents:*"));
    }
}
