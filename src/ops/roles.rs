//! The roles of users.

use super::{context::Context, error::Error};
use crate::{
    domain::{
        account::{Role, User},
        audit::RequestSource,
        authority::Administrator,
        id::UserId,
    },
    store::LastAdmin,
};

/// Sets a user's role. It holds from the next request on. [`StateConflict::LastAdmin`](super::StateConflict::LastAdmin) if
/// the user is the last enabled administrator and `last` protects them.
pub async fn set(
    ctx: &Context,
    _: Administrator,
    user: UserId,
    role: Role,
    last: LastAdmin,
    source: RequestSource,
) -> Result<User, Error> {
    Ok(ctx.store.set_role(user, role, last, ctx.attribution(source)).await?)
}
