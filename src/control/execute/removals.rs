//! Requests that disable or delete users, and hand over what they own.

use super::{owners, users};
use crate::{
    control::{error::Error, frame::Output, user_request::UserRemoval},
    domain::{audit::RequestSource, authority::Administrator, id::UserId},
    ops::{Context, deletion, disabling},
    store::LastAdmin,
    views::{DeletionView, DisabledAccountView},
};

pub(super) async fn disable(
    ctx: &Context,
    administrator: Administrator,
    removal: &UserRemoval,
    dry_run: bool,
    output: &mut Output,
) -> Result<(), Error> {
    let (user, transfer_to) = find(ctx, administrator, removal).await?;
    let source = RequestSource::COMMAND_LINE;
    let disabled = match dry_run {
        true => disabling::preview(ctx, administrator, user, transfer_to).await?,
        false => disabling::disable(ctx, administrator, user, transfer_to, LastAdmin::MayGo, source).await?,
    };
    Ok(output.item(&DisabledAccountView::new(disabled, dry_run)).await?)
}

pub(super) async fn preview_deletion(
    ctx: &Context,
    administrator: Administrator,
    removal: &UserRemoval,
    output: &mut Output,
) -> Result<(), Error> {
    let (user, transfer_to) = find(ctx, administrator, removal).await?;
    let ends = deletion::preview(ctx, administrator, user, transfer_to).await?;
    Ok(output.item(&DeletionView::new(user, ends)).await?)
}

pub(super) async fn delete(
    ctx: &Context,
    administrator: Administrator,
    removal: &UserRemoval,
    output: &mut Output,
) -> Result<(), Error> {
    let (user, transfer_to) = find(ctx, administrator, removal).await?;
    let source = RequestSource::COMMAND_LINE;
    let ended = deletion::delete(ctx, administrator, user, transfer_to, LastAdmin::MayGo, source).await?;
    Ok(output.item(&DeletionView::new(user, ended)).await?)
}

async fn find(
    ctx: &Context,
    administrator: Administrator,
    removal: &UserRemoval,
) -> Result<(UserId, Option<UserId>), Error> {
    let user = users::find(ctx, administrator, &removal.user).await?.id;
    let Some(to) = &removal.transfer_to else { return Ok((user, None)) };
    Ok((user, Some(owners::find(ctx, administrator, to).await?.id())))
}
