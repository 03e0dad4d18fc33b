//! Requests on users.

use std::ops::ControlFlow;

use crate::{
    control::{
        error::Error,
        frame::Output,
        request::{NewUser, Secret, UserList, UserSort},
    },
    domain::{
        account::{Email, Password, User},
        audit::RequestSource,
    },
    ops::{self, Context, FieldError, accounts, inventory, profile},
    store::UserOrder,
    views::UserView,
};

pub(super) async fn create(ctx: &Context, user: &NewUser, password: &Secret, output: &mut Output) -> Result<(), Error> {
    let (name, email) = user.judge()?;
    let account = accounts::NewAccount { name, email, password: parse_password(password)? };
    let user = accounts::create(ctx, account, RequestSource::COMMAND_LINE).await?;
    Ok(output.item(&UserView::from(user)).await?)
}

pub(super) async fn list(ctx: &Context, list: UserList, output: &mut Output) -> Result<(), Error> {
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
    Ok(inventory::users(ctx, list, each).await?)
}

pub(super) async fn show(ctx: &Context, who: &str, output: &mut Output) -> Result<(), Error> {
    let user = find(ctx, who).await?;
    Ok(output.item(&UserView::from(user)).await?)
}

pub(super) async fn disable(ctx: &Context, who: &str, output: &mut Output) -> Result<(), Error> {
    let user = find(ctx, who).await?;
    let user = accounts::disable(ctx, user.id, RequestSource::COMMAND_LINE).await?;
    Ok(output.item(&UserView::from(user)).await?)
}

pub(super) async fn enable(ctx: &Context, who: &str, output: &mut Output) -> Result<(), Error> {
    let user = find(ctx, who).await?;
    let user = accounts::enable(ctx, user.id, RequestSource::COMMAND_LINE).await?;
    Ok(output.item(&UserView::from(user)).await?)
}

pub(super) async fn set_email(ctx: &Context, who: &str, email: &str, output: &mut Output) -> Result<(), Error> {
    let email = Email::parse(email).map_err(|error| vec![FieldError::new("email", error)])?;
    let user = find(ctx, who).await?;
    let user = profile::set_email(ctx, &user, email, RequestSource::COMMAND_LINE).await?;
    Ok(output.item(&UserView::from(user)).await?)
}

pub(super) async fn set_password(
    ctx: &Context,
    who: &str,
    password: &Secret,
    output: &mut Output,
) -> Result<(), Error> {
    let user = find(ctx, who).await?;
    accounts::set_password(ctx, &user, parse_password(password)?, RequestSource::COMMAND_LINE).await?;
    Ok(output.item(&UserView::from(user)).await?)
}

fn parse_password(password: &Secret) -> Result<Password, Error> {
    Password::parse(password.expose()).map_err(|error| vec![FieldError::new("password", error)].into())
}

/// The user of this e-mail address or id.
pub(super) async fn find(ctx: &Context, who: &str) -> Result<User, Error> {
    accounts::find(ctx, who).await.map_err(|error| match error {
        ops::Error::NotFound => Error::NoUser(who.to_owned()),
        other => other.into(),
    })
}
