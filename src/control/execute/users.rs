//! Requests about users.

use std::ops::ControlFlow;

use crate::{
    control::{
        error::Error,
        frame::Output,
        request::{NewUser, Secret, UserList, UserSort},
    },
    domain::{
        account::{Email, Password, Role, User},
        audit::RequestSource,
        authority::Administrator,
    },
    ops::{self, Context, FieldError, accounts, deletion, inventory, profile},
    store::{LastAdmin, UserOrder},
    views::{DeletionView, UserView},
};

pub(super) async fn create(
    ctx: &Context,
    administrator: Administrator,
    user: &NewUser,
    password: &Secret,
    output: &mut Output,
) -> Result<(), Error> {
    let (name, email) = user.parse()?;
    let account = accounts::NewAccount { name, email, password: parse_password(password)? };
    let user = accounts::create(ctx, administrator, account, Role::Member, RequestSource::COMMAND_LINE).await?;
    Ok(output.item(&UserView::from(user)).await?)
}

pub(super) async fn list(
    ctx: &Context,
    administrator: Administrator,
    list: UserList,
    output: &mut Output,
) -> Result<(), Error> {
    let UserList { search, sort, reverse, limit } = list;
    let order = match sort {
        UserSort::Created => UserOrder::Created,
        UserSort::Name => UserOrder::Name,
        UserSort::Email => UserOrder::Email,
    };
    let list = inventory::UserList { search, order, reversed: reverse, limit };
    let each = async |user: User| match output.item(&UserView::from(user)).await {
        Ok(()) => ControlFlow::Continue(()),
        Err(_) => ControlFlow::Break(()),
    };
    Ok(inventory::users(ctx, administrator, list, each).await?)
}

pub(super) async fn show(
    ctx: &Context,
    administrator: Administrator,
    id_or_email: &str,
    output: &mut Output,
) -> Result<(), Error> {
    let user = find(ctx, administrator, id_or_email).await?;
    Ok(output.item(&UserView::from(user)).await?)
}

pub(super) async fn disable(
    ctx: &Context,
    administrator: Administrator,
    id_or_email: &str,
    output: &mut Output,
) -> Result<(), Error> {
    let user = find(ctx, administrator, id_or_email).await?;
    let user = accounts::disable(ctx, administrator, user.id, LastAdmin::MayGo, RequestSource::COMMAND_LINE).await?;
    Ok(output.item(&UserView::from(user.user)).await?)
}

pub(super) async fn enable(
    ctx: &Context,
    administrator: Administrator,
    id_or_email: &str,
    output: &mut Output,
) -> Result<(), Error> {
    let user = find(ctx, administrator, id_or_email).await?;
    let user = accounts::enable(ctx, administrator, user.id, RequestSource::COMMAND_LINE).await?;
    Ok(output.item(&UserView::from(user.user)).await?)
}

pub(super) async fn set_email(
    ctx: &Context,
    administrator: Administrator,
    id_or_email: &str,
    email: &str,
    output: &mut Output,
) -> Result<(), Error> {
    let email = Email::parse(email).map_err(|error| vec![FieldError::new("email", error)])?;
    let user = find(ctx, administrator, id_or_email).await?;
    let user = profile::set_email(ctx, administrator, &user, email, RequestSource::COMMAND_LINE).await?;
    Ok(output.item(&UserView::from(user)).await?)
}

pub(super) async fn set_password(
    ctx: &Context,
    administrator: Administrator,
    id_or_email: &str,
    password: &Secret,
    output: &mut Output,
) -> Result<(), Error> {
    let user = find(ctx, administrator, id_or_email).await?;
    accounts::set_password(ctx, administrator, &user, parse_password(password)?, RequestSource::COMMAND_LINE).await?;
    Ok(output.item(&UserView::from(user)).await?)
}

pub(super) async fn preview_deletion(
    ctx: &Context,
    administrator: Administrator,
    id_or_email: &str,
    output: &mut Output,
) -> Result<(), Error> {
    let user = find(ctx, administrator, id_or_email).await?;
    let ends = deletion::preview(ctx, administrator, user.id).await?;
    Ok(output.item(&DeletionView::new(user.id, ends)).await?)
}

pub(super) async fn delete(
    ctx: &Context,
    administrator: Administrator,
    id_or_email: &str,
    output: &mut Output,
) -> Result<(), Error> {
    let user = find(ctx, administrator, id_or_email).await?;
    let source = RequestSource::COMMAND_LINE;
    let ended = deletion::delete(ctx, administrator, user.id, LastAdmin::MayGo, source).await?;
    Ok(output.item(&DeletionView::new(user.id, ended)).await?)
}

fn parse_password(password: &Secret) -> Result<Password, Error> {
    Password::parse(password.expose()).map_err(|error| vec![FieldError::new("password", error)].into())
}

/// Finds a user by id or e-mail address.
pub(super) async fn find(ctx: &Context, administrator: Administrator, id_or_email: &str) -> Result<User, Error> {
    accounts::find(ctx, administrator, id_or_email).await.map_err(|error| match error {
        ops::Error::NotFound => Error::NoUser(id_or_email.to_owned()),
        other => Error::from(other).before_change(),
    })
}
