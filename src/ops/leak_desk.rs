//! An administrator reports leaked secrets and gets to know what ended. Other reporters do not: see
//! [`revocation::revoke_leaked`].

use std::net::IpAddr;

use super::{Context, Error, revocation};
use crate::{
    domain::{
        account::User,
        audit::RequestSource,
        authority::Administrator,
        id::TokenId,
        owner::Owner,
        secret::{CredentialKind, PresentedCredential},
        token::{RevocationReason, Token},
    },
    store::StoreError,
};

/// How many tokens of a family are compared.
const FAMILY: u32 = 100;

/// What a report did.
#[derive(Clone, Debug, Default)]
pub struct LeakOutcome {
    /// How many of the texts have the form of a secret of this server.
    pub read: usize,
    /// How many of those belong to nothing that is stored.
    pub unknown: usize,
    /// The tokens that they belong to.
    pub tokens: Vec<LeakedToken>,
    /// The users whose sessions ended, once for each session.
    pub sessions: Vec<User>,
}

/// A token whose secret was reported.
#[derive(Clone, Debug)]
pub struct LeakedToken {
    /// The token before the report.
    pub token: Token,
    /// Its owner.
    pub owner: Owner,
    /// What happened to it.
    pub ending: LeakEnding,
    /// Other tokens of its family that ended with it.
    pub also_ended: Vec<TokenId>,
}

/// What happened to a token whose secret was reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeakEnding {
    /// The report has ended it.
    Now,
    /// It had ended before.
    Before,
    /// It is a canary token. Its use was recorded.
    Canary,
}

/// Ends the tokens and sessions with these secrets, like every leak report, and says which they were: those that were valid
/// before and are not valid afterwards.
pub async fn report(
    ctx: &Context,
    _: Administrator,
    credentials: &[String],
    client: IpAddr,
    user_agent: Option<&str>,
    source: RequestSource,
) -> Result<LeakOutcome, Error> {
    let mut outcome = LeakOutcome::default();
    let (mut families, mut sessions) = (Vec::new(), Vec::new());
    for credential in credentials {
        let Ok(presented) = PresentedCredential::parse(credential, &ctx.rules.prefixes) else { continue };
        outcome.read += 1;
        if presented.kind == CredentialKind::Session {
            match ctx.credentials.session_by_hash(&presented.hash).await? {
                Some(record) => sessions.push((presented.hash, record.user.clone())),
                None => outcome.unknown += 1,
            }
            continue;
        }
        let Some(record) = ctx.credentials.token_by_hash(&presented.hash).await? else {
            outcome.unknown += 1;
            continue;
        };
        let token = ctx.store.token_in_any_state(record.token.id).await?;
        if outcome.tokens.iter().any(|known| known.token.id == token.id) {
            continue;
        }
        families.push(ended_of_family(ctx, token.id).await?);
        let ending = if token.is_canary { LeakEnding::Canary } else { LeakEnding::Before };
        let owner = ctx.store.owner(token.owner).await?;
        outcome.tokens.push(LeakedToken { token, owner, ending, also_ended: Vec::new() });
    }
    revocation::revoke_leaked(ctx, credentials, client, user_agent, source).await?;
    for (leaked, before) in outcome.tokens.iter_mut().zip(families) {
        let id = leaked.token.id;
        let mut ended = ended_of_family(ctx, id).await.map_err(after_report)?;
        ended.retain(|ended| !before.contains(ended));
        if ended.contains(&id) {
            leaked.ending = LeakEnding::Now;
        }
        ended.retain(|ended| *ended != id);
        leaked.also_ended = ended;
    }
    for (hash, user) in sessions {
        if ctx.credentials.session_by_hash(&hash).await?.is_none() {
            outcome.sessions.push(user);
        }
    }
    Ok(outcome)
}

/// The tokens of the family that leak reports have ended.
async fn ended_of_family(ctx: &Context, id: TokenId) -> Result<Vec<TokenId>, StoreError> {
    let family = ctx.store.token_history(id, FAMILY).await?.family;
    let has_leaked = |reason: RevocationReason| reason == RevocationReason::LeakReport;
    let ended = family.into_iter().filter(|member| member.revoked.is_some_and(|revoked| has_leaked(revoked.reason)));
    Ok(ended.map(|member| member.id).collect())
}

/// The tokens have ended, and it is not known which.
fn after_report(error: StoreError) -> Error {
    error.after_partial_change().into()
}
