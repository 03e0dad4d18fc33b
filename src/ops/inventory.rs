//! Lists for administrators: all users and all tokens. They are streamed, so the memory does not grow with their length.

use std::ops::ControlFlow;

use futures_util::future::join;
use tokio::sync::mpsc;

use super::{
    context::Context,
    error::Error,
    token_filter::{self, FilterTexts},
    tokens, usage_limits,
};
use crate::{
    domain::{
        account::Role,
        account_state::{Account, AccountState},
        authority::Administrator,
        id::TokenId,
        owner::Owner,
        text::folded,
        time::Timestamp,
        token::Token,
    },
    store::{Reply, TokenFilter, TokenInventory, TokenOrder, UserInventory, UserOrder, Whose},
};

/// How many batches of rows may wait for the consumer.
const WAITING_BATCHES: usize = 2;

/// Which users to list.
#[derive(Clone, Debug, Default)]
pub struct UserList {
    /// Only users whose name or address contains this text.
    pub search: Option<String>,
    /// Only users with this role.
    pub role: Option<Role>,
    /// Only users whose account is in this state.
    pub state: Option<AccountState>,
    /// The order.
    pub order: UserOrder,
    /// Whether the order is reversed.
    pub reversed: bool,
    /// At most this many.
    pub limit: Option<u64>,
}

/// Which tokens to list.
#[derive(Clone, Debug, Default)]
pub struct TokenList {
    /// Only the tokens of this user or environment.
    pub whose: Whose,
    /// Only tokens that satisfy these filters.
    pub filter: FilterTexts,
    /// Only tokens whose name, or whose owner's address, contains this text.
    pub search: Option<String>,
    /// Only tokens that expire or become idle before this time.
    pub ends_before: Option<Timestamp>,
    /// Only tokens that were neither used nor created at this time or later.
    pub unused_since: Option<Timestamp>,
    /// The order. Times of use are those in the store, which may be ten seconds late.
    pub order: TokenOrder,
    /// Whether the order is reversed.
    pub reversed: bool,
    /// At most this many.
    pub limit: Option<u64>,
}

/// A token in the list.
#[derive(Clone, Debug)]
pub struct ListedToken {
    /// The token with its latest use. Its expiry is the effective one: expiry or idle time, whichever is first.
    pub token: Token,
    /// Its owner.
    pub owner: Owner,
    /// How many uses it has left. `None` if it has no quota.
    pub quota_left: Option<u32>,
    /// Its latest successor.
    pub successor: Option<TokenId>,
}

/// Calls `each` with one user after the other, until it breaks.
pub async fn users(
    ctx: &Context,
    _: Administrator,
    list: UserList,
    mut each: impl AsyncFnMut(Account) -> ControlFlow<()>,
) -> Result<(), Error> {
    let UserList { search, role, state, order, reversed, limit } = list;
    let wanted = UserInventory { search: search.map(|text| folded(&text)), role, state, order, reversed };
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

/// Calls `each` with one token after the other, until it breaks. Uses that are not written yet count. Fails with
/// [`Error::NotFound`] if the tokens of an unknown environment are requested.
pub async fn tokens(
    ctx: &Context,
    _: Administrator,
    list: TokenList,
    mut each: impl AsyncFnMut(ListedToken) -> ControlFlow<()>,
) -> Result<(), Error> {
    let TokenList { whose, filter, search, ends_before, unused_since, order, reversed, limit } = list;
    if let Whose::Environment(id) = whose {
        ctx.store.environment_owner(id).await?;
    }
    let now = ctx.clock.now();
    let filter = filter.read(ctx, now).await?;
    let filter = TokenFilter { unused_since: unused_since.or(filter.unused_since), ..filter };
    let search = search.map(|text| folded(&text));
    let wanted = TokenInventory { whose, filter: filter.clone(), search, ends_before, order, reversed };
    let mut left = limit.unwrap_or(u64::MAX);
    pump(
        |batches| ctx.store.each_token(wanted, now, batches),
        async |row| {
            let mut token = row.token;
            tokens::apply_unwritten_use(ctx, &mut token);
            // The latest use may be unwritten, so the store may have found too many tokens.
            let ends_later = |time| token.expires_at.is_none_or(|end| end >= time);
            if !token_filter::is_still_meant(ctx, &filter, &token) || ends_before.is_some_and(ends_later) {
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

type Batches<T> = Box<dyn FnMut(Vec<T>) -> ControlFlow<()> + Send>;

/// Passes rows from the store's thread to `each`. The store's thread waits while `each` is behind.
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
