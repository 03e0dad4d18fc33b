//! What administrators see and change of the accounts of users. Invitations are in [`super::password_links`].

use uuid::Uuid;

use super::{
    accounts::email_taken,
    context::Context,
    cursor::{List, ListScope},
    error::Error,
    sessions,
};
use crate::{
    domain::{
        account::Role,
        account_state::{Account, AccountDetails, AccountState},
        audit::RequestSource,
        authority::Administrator,
        id::UserId,
        page::{Page, PageRequest},
        session::Session,
        text::folded,
    },
    store::{AccountChange, AccountPlace, AccountQuery, LastAdmin, UserOrder},
};

/// Which accounts to list.
#[derive(Clone, Debug, Default)]
pub struct AccountList {
    /// Only those whose name or address contains this text.
    pub search: Option<String>,
    /// Only those with this role.
    pub role: Option<Role>,
    /// Only those in this state.
    pub state: Option<AccountState>,
    /// The order.
    pub order: UserOrder,
    /// Whether the order is reversed.
    pub reversed: bool,
}

/// A page of the accounts.
pub async fn accounts(
    ctx: &Context,
    _: Administrator,
    list: AccountList,
    request: PageRequest,
) -> Result<Page<Account>, Error> {
    let scope = ListScope::search(Uuid::nil(), &list);
    let AccountList { search, role, state, order, reversed } = list;
    let after = request.cursor.map(|cursor| List::Accounts.parse_sorted_cursor(scope, &cursor)).transpose()?;
    let query = AccountQuery {
        search: search.map(|text| folded(&text)),
        role,
        state,
        order,
        reversed,
        after: after.map(|(key, id)| AccountPlace { key, id: UserId::new(id) }),
        limit: request.limit + 1,
    };
    let mut items = ctx.store.accounts(query).await?;
    let has_more = items.len() > request.limit as usize;
    items.truncate(request.limit as usize);
    let last = items.last().filter(|_| has_more);
    let next_cursor = last.map(|Account { user, .. }| {
        let key = match order {
            UserOrder::Created => "",
            UserOrder::Name => user.name.as_str(),
            UserOrder::Email => user.email.canonical(),
        };
        List::Accounts.write_sorted_cursor(scope, key, user.id.uuid())
    });
    Ok(Page { items, next_cursor })
}

/// An account with what belongs to it.
pub async fn account(ctx: &Context, _: Administrator, user: UserId) -> Result<AccountDetails, Error> {
    Ok(ctx.store.account_details(user, ctx.clock.now()).await?)
}

/// Changes an account: all named fields or none. It holds from the next request on, and the user's sessions stay.
/// [`StateConflict::LastAdmin`](super::StateConflict::LastAdmin) if the user is the last enabled administrator and `last`
/// protects them.
pub async fn change(
    ctx: &Context,
    _: Administrator,
    user: UserId,
    change: AccountChange,
    last: LastAdmin,
    source: RequestSource,
) -> Result<Account, Error> {
    ctx.store.change_account(user, change, last, ctx.attribution(source)).await.map_err(email_taken)
}

/// A page of a user's sessions, newest first.
pub async fn sessions(
    ctx: &Context,
    _: Administrator,
    user: UserId,
    request: PageRequest,
) -> Result<Page<Session>, Error> {
    ctx.store.user(user).await?;
    sessions::list(ctx, user, request).await
}

/// Ends all sessions of a user. Returns how many.
pub async fn end_sessions(ctx: &Context, _: Administrator, user: UserId, source: RequestSource) -> Result<u64, Error> {
    Ok(ctx.store.end_sessions(user, ctx.attribution(source)).await?)
}
