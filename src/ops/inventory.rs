//! Lists for the administrator: all users, and the tokens of everybody, in one go and in the same memory however many.

use std::ops::ControlFlow;

use futures_util::future::join;
use tokio::sync::mpsc;

use super::{context::Context, error::Error, tokens, usage_limits};
use crate::{
    domain::{
        account::{Email, User},
        id::{EnvironmentId, TokenId, UserId},
        text::folded,
        time::Timestamp,
        token::{Token, TokenState},
    },
    store::{Reply, TokenInventory, TokenOrder, UserInventory, UserOrder, Whose},
};

/// How many batches of rows wait for whoever takes them.
const WAITING_BATCHES: usize = 2;

/// Which users to list.
#[derive(Clone, Debug, Default)]
pub struct UserList {
    /// Only those whose name or address holds this text.
    pub search: Option<String>,
    /// The order.
    pub order: UserOrder,
    /// The other way round.
    pub reversed: bool,
    /// At most so many.
    pub limit: Option<u64>,
}

/// Which tokens to list.
#[derive(Clone, Debug, Default)]
pub struct TokenList {
    /// Only these.
    pub whose: Whose,
    /// Only those in this state; `None` is all but the revoked.
    pub state: Option<TokenState>,
    /// Only those whose name, or whose owner's address, holds this text.
    pub search: Option<String>,
    /// Only those that end before this, by their expiry or by not being used.
    pub ends_before: Option<Timestamp>,
    /// Only those that were not used at this time or later, nor made.
    pub unused_since: Option<Timestamp>,
    /// The order. Times of use are those on disk, which may be ten seconds late.
    pub order: TokenOrder,
    /// The other way round.
    pub reversed: bool,
    /// At most so many.
    pub limit: Option<u64>,
}

/// A token in the list.
#[derive(Clone, Debug)]
pub struct ListedToken {
    /// The token, with its latest use and the end that comes first.
    pub token: Token,
    /// Its owner's address.
    pub owner: Email,
    /// How often it may still be used; `None` where that is for ever.
    pub quota_left: Option<u32>,
    /// Its latest successor.
    pub successor: Option<TokenId>,
}

/// Gives `each` the users that are asked for, one after the other, until it breaks off.
pub async fn users(
    ctx: &Context,
    list: UserList,
    mut each: impl AsyncFnMut(User) -> ControlFlow<()>,
) -> Result<(), Error> {
    let UserList { search, order, reversed, limit } = list;
    let wanted = UserInventory { search: search.map(|text| folded(&text)), order, reversed };
    let mut left = limit.unwrap_or(u64::MAX);
    pump(
        |batches| ctx.store.each_user(wanted, batches),
        async |user| {
            if left == 0 {
                return ControlFlow::Break(());
            }
            left -= 1;
            each(user).await
        },
    )
    .await
}

/// The same for tokens. What is noted of their uses in memory counts.
pub async fn tokens(
    ctx: &Context,
    list: TokenList,
    mut each: impl AsyncFnMut(ListedToken) -> ControlFlow<()>,
) -> Result<(), Error> {
    let TokenList { whose, state, search, ends_before, unused_since, order, reversed, limit } = list;
    let now = ctx.clock.now();
    let idle_since = ctx.rules.token_lifetimes.idle_since(now);
    let search = search.map(|text| folded(&text));
    let wanted = TokenInventory { whose, state, idle_since, search, ends_before, unused_since, order, reversed };
    let mut left = limit.unwrap_or(u64::MAX);
    pump(
        |batches| ctx.store.each_token(wanted, now, batches),
        async |row| {
            let mut token = row.token;
            tokens::apply_unwritten_use(ctx, &mut token);
            // What is on disk may be older than the latest use, so the store may have found too many.
            let used_since = |time| token.last_used_at.unwrap_or(token.created_at) >= time;
            let ends_later = |time| token.expires_at.is_none_or(|end| end >= time);
            if unused_since.is_some_and(used_since) || ends_before.is_some_and(ends_later) {
                return ControlFlow::Continue(());
            }
            if left == 0 {
                return ControlFlow::Break(());
            }
            left -= 1;
            let quota_left = usage_limits::quota_left(ctx, &token, row.quota_used);
            each(ListedToken { token, owner: row.owner, quota_left, successor: row.successor }).await
        },
    )
    .await
}

/// Whose an environment is.
pub async fn environment_owner(ctx: &Context, id: EnvironmentId) -> Result<UserId, Error> {
    Ok(ctx.store.environment_owner(id).await?)
}

type Batches<T> = Box<dyn FnMut(Vec<T>) -> ControlFlow<()> + Send>;

/// The store reads on a thread of its own and waits there while `each` is behind.
async fn pump<'s, T: Send + 'static>(
    read: impl FnOnce(Batches<T>) -> Reply<'s, ()>,
    mut each: impl AsyncFnMut(T) -> ControlFlow<()>,
) -> Result<(), Error> {
    let (batches, mut received) = mpsc::channel(WAITING_BATCHES);
    let reading = read(Box::new(move |batch| match batches.blocking_send(batch) {
        Ok(()) => ControlFlow::Continue(()),
        Err(_) => ControlFlow::Break(()),
    }));
    let taking = async move {
        while let Some(batch) = received.recv().await {
            for row in batch {
                if each(row).await.is_break() {
                    return;
                }
            }
        }
    };
    let (read, ()) = join(reading, taking).await;
    Ok(read?)
}
