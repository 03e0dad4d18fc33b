//! Administrators search among the tokens of everybody, and revoke all that a filter finds.

use std::collections::{BTreeMap, HashSet};

use futures_util::future::join_all;
use uuid::Uuid;

pub use super::token_filter::FilterTexts;
use super::{
    context::Context,
    cursor::{List, ListScope},
    environment_tokens,
    error::{Error, FieldError},
    token_filter,
    tokens::{self, TokenDetails},
    usage_limits,
};
use crate::{
    domain::{
        audit::RequestSource,
        authority::{Administrator, Authority},
        id::{TokenId, UserId},
        owner::Owner,
        page::{self, Page},
        token::{RevocationReason, Token, TokenState},
    },
    store::{FoundToken, Place, SortTime, States, StoreError, TokenFilter, TokenSearchQuery, TokenSelection},
};

/// How many tokens are read, and then revoked, at once: some milliseconds of the writer's time.
const BATCH: u32 = 100;

/// How many ids the answer to a revocation names.
pub const NAMED: usize = 1000;

/// Which page of a search.
#[derive(Clone, Debug)]
pub struct SearchRequest {
    /// Which tokens.
    pub filter: FilterTexts,
    /// The time by which they are sorted.
    pub sort: SortTime,
    /// Whether the latest comes first.
    pub descending: bool,
    /// The cursor of the previous page.
    pub cursor: Option<String>,
    /// The most items of the page.
    pub limit: u32,
}

/// A token of a search, with its owner.
#[derive(Clone, Debug)]
pub struct OwnedToken {
    /// The token with all that is shown of it.
    pub details: TokenDetails,
    /// Its owner. For a token of an environment, the owner of the environment.
    pub owner: Owner,
}

/// One page of the tokens that the filter accepts. Times of use in filters and in the order may be ten seconds late.
pub async fn search(ctx: &Context, _: Administrator, request: SearchRequest) -> Result<Page<OwnedToken>, Error> {
    find(ctx, Uuid::nil(), request, |filter| filter).await
}

/// The same among the personal tokens of `owner`, whatever owner and kind the filter names. The caller has checked who asks.
pub async fn search_of(ctx: &Context, owner: UserId, request: SearchRequest) -> Result<Page<OwnedToken>, Error> {
    let of_owner = |filter| TokenFilter { owner: Some(owner), of_environment: Some(false), ..filter };
    find(ctx, owner.uuid(), request, of_owner).await
}

/// A page of what `whose` list shows.
async fn find(
    ctx: &Context,
    whose: Uuid,
    request: SearchRequest,
    narrow: impl FnOnce(TokenFilter) -> TokenFilter,
) -> Result<Page<OwnedToken>, Error> {
    let SearchRequest { filter: texts, sort, descending, cursor, limit } = request;
    let now = ctx.clock.now();
    // A cursor belongs to its search: the same filters, and the same order.
    let scope = ListScope::search(whose, (&texts, sort, descending));
    let after = cursor.map(|cursor| List::FoundTokens.parse_place_cursor(scope, &cursor)).transpose()?;
    let after = after.map(|(time, number)| Place { time, number });
    let filter = narrow(texts.read(ctx, now).await?);
    // One token more shows whether there is another page.
    let query = TokenSearchQuery { filter, sort, descending, after, limit: limit + 1 };
    let mut found = ctx.store.find_tokens(query, now).await?;
    let has_more = page::cut(&mut found, limit as usize, |found| found.token.listed_size());
    let next_cursor = found.last().filter(|_| has_more).map(|last| {
        let place = Place::of(&last.token, sort);
        List::FoundTokens.write_place_cursor(scope, place.time, place.number)
    });
    Ok(Page { items: found.into_iter().map(|found| owned(ctx, found)).collect(), next_cursor })
}

fn owned(ctx: &Context, found: FoundToken) -> OwnedToken {
    let FoundToken { mut token, owner, quota_used, successor, same_hands: _ } = found;
    tokens::apply_unwritten_use(ctx, &mut token);
    let quota_left = usage_limits::quota_left(ctx, &token, quota_used);
    OwnedToken { details: TokenDetails { token, quota_left, successor }, owner }
}

/// A token of anybody with its owner.
pub async fn show(ctx: &Context, administrator: Administrator, id: TokenId) -> Result<(Token, Owner), Error> {
    let token = tokens::show(ctx, administrator.into(), id).await?;
    let owner = ctx.store.owner(token.owner).await?;
    Ok((token, owner))
}

/// What a revocation by a filter revoked, or would revoke.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RevokedByFilter {
    /// How many tokens the filter found that were neither revoked nor expired.
    pub matching: u64,
    /// How many others end with them: successors that they made by themselves, and that the filter did not find.
    pub successors: u64,
    /// The ids of the first [`NAMED`] of all of these. Those that the filter found are in the order of their creation, newest
    /// first; each successor follows its token.
    pub ids: Vec<TokenId>,
    /// How many tokens were revoked.
    pub revoked: u64,
}

impl RevokedByFilter {
    fn name(&mut self, id: TokenId) {
        if self.ids.len() < NAMED {
            self.ids.push(id);
        }
    }
}

/// Revokes the tokens that the filter accepts and that are neither revoked nor expired, or only counts them. Without any
/// filter it needs `all`. Each batch is durable before the next one begins. A token that was created meanwhile stays.
pub async fn revoke(
    ctx: &Context,
    administrator: Administrator,
    filter: &FilterTexts,
    all: bool,
    dry_run: bool,
    source: RequestSource,
) -> Result<RevokedByFilter, Error> {
    match (filter.is_empty(), all) {
        (true, false) => {
            let predicate = r#"must be true if there is no filter. Name at least one filter, or send "all": true."#;
            return Err(FieldError::new("all", predicate).into());
        }
        (false, true) => return Err(FieldError::new("all", "must not be given together with a filter.").into()),
        _ => {}
    }
    if filter.state.as_ref().is_some_and(|state| state != "active") {
        let predicate = "must be active or left out: tokens that are revoked or expired have ended already.";
        return Err(FieldError::new("state", predicate).into());
    }
    // By a clock that is not reliable, tokens in use would count as unused.
    if filter.unused_for.is_some() || filter.last_used_before.is_some() {
        ctx.expect_reliable_clock()?;
    }
    let now = ctx.clock.recordable();
    // Idle tokens as well: after a change of the settings they could be valid again.
    let states = States::Only(TokenState::Active);
    let filter = TokenFilter { states, idle_since: None, ..filter.read(ctx, now).await? };
    let (mut done, mut found_successors) = (RevokedByFilter::default(), HashSet::new());
    let mut after = None;
    loop {
        let (sort, descending) = (SortTime::Created, true);
        let query = TokenSearchQuery { filter: filter.clone(), sort, descending, after, limit: BATCH };
        let found = ctx.store.find_tokens(query, now).await;
        let found = found.map_err(|error| Error::from(error).after_revocations(done.revoked))?;
        let Some(last) = found.last() else {
            let revoked = done.revoked;
            // Also without a change: who sees that nothing is left to revoke does not go on.
            let known = ctx.store.wait_until_known().await;
            return known.map(|()| done).map_err(|error| Error::from(error).after_revocations(revoked));
        };
        after = Some(Place::of(&last.token, sort));
        let mut named = Vec::new();
        for FoundToken { token, same_hands, .. } in found {
            if !token_filter::is_still_meant(ctx, &filter, &token) {
                continue;
            }
            done.matching += 1;
            done.name(token.id);
            // A successor is newer than its token, so it was found before it.
            if let Some(successor) = same_hands.filter(|id| !found_successors.contains(id)) {
                done.successors += 1;
                done.name(successor);
            }
            if token.rotated_from.is_some() {
                found_successors.insert(token.id);
            }
            named.push(token);
        }
        if !dry_run {
            done.revoked += end(ctx, administrator, named, &source, done.revoked).await?;
        }
    }
}

/// Revokes these tokens, as far as they are neither revoked nor expired. Returns how many.
pub async fn revoke_these(
    ctx: &Context,
    administrator: Administrator,
    ids: &[TokenId],
    source: RequestSource,
) -> Result<u64, Error> {
    let (mut revoked, now) = (0, ctx.clock.recordable());
    for ids in ids.chunks(BATCH as usize) {
        let mut live = Vec::with_capacity(ids.len());
        for id in ids {
            let token = ctx.store.token_in_any_state(*id).await;
            let token = token.map_err(|error| Error::from(error).after_revocations(revoked))?;
            live.extend((token.revoked.is_none() && !token.has_expired(now)).then_some(token));
        }
        revoked += end(ctx, administrator, live, &source, revoked).await?;
    }
    let known = ctx.store.wait_until_known().await;
    known.map(|()| revoked).map_err(|error| Error::from(error).after_revocations(revoked))
}

/// Revokes a batch. All its changes are under way at once, so that they share a commit.
async fn end(
    ctx: &Context,
    administrator: Administrator,
    named: Vec<Token>,
    source: &RequestSource,
    before: u64,
) -> Result<u64, Error> {
    let reason = RevocationReason::RevokedByOwner;
    let mut by_owner: BTreeMap<Uuid, Vec<TokenId>> = BTreeMap::new();
    let mut of_environments = Vec::new();
    for token in named {
        match token.environment {
            None => by_owner.entry(token.owner.uuid()).or_default().push(token.id),
            Some(environment) => of_environments.push((environment, token.id)),
        }
    }
    let personal = by_owner.into_iter().map(|(owner, ids)| {
        ctx.store.revoke_tokens(UserId::new(owner), TokenSelection::These(ids), reason, ctx.attribution(source.clone()))
    });
    let authority = Authority::Administrator(administrator);
    let others = of_environments
        .into_iter()
        .map(|(environment, id)| environment_tokens::revoke(ctx, authority, environment, id, source.clone()));
    let (personal, others) = futures_util::future::join(join_all(personal), join_all(others)).await;
    let (mut revoked, mut failed) = (0, None);
    for outcome in personal {
        match outcome {
            Ok(count) => revoked += count,
            // Not the user's own tokens, so only an administrator may revoke them.
            Err(StoreError::NotFound) => failed = Some(Error::AdminRequired),
            Err(error) => failed = Some(Error::from(error)),
        }
    }
    for outcome in others {
        match outcome {
            Ok(()) => revoked += 1,
            // Another request has revoked or replaced it.
            Err(Error::NotFound | Error::Replaced(_)) => {}
            Err(error) => failed = Some(error),
        }
    }
    failed.map_or(Ok(revoked), |error| Err(error.after_revocations(before + revoked)))
}
