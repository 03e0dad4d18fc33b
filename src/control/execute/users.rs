//! Requests about users.

use std::ops::ControlFlow;

use crate::{
    control::{
        error::Error,
        frame::Output,
        secret::Secret,
        user_request::{NewUser, UserList, UserSort},
        views::CountView,
    },
    domain::{
        account::{Email, Password, Role, User},
        account_state::{Account, AccountState},
        audit::RequestSource,
        authority::Administrator,
        page::PageRequest,
    },
    ops::{
        self, Context, FieldError, accounts, administration,
        attempts::{self, AttemptsOf},
        export, inventory,
        password_links::{self, Invited},
        profile, roles,
    },
    store::{ExportPosition, LastAdmin, UserOrder},
    views::{AccountDetailsView, AccountView, ExportItemView, ExportRowView, InvitedView, SessionView, UserView},
};

pub(super) async fn create(
    ctx: &Context,
    administrator: Administrator,
    user: &NewUser,
    password: &Secret,
    output: &mut Output,
) -> Result<(), Error> {
    let (name, email) = user.parse()?;
    let account = accounts::NewAccount { ids: None, name, email, password: parse_password(password)? };
    let source = RequestSource::COMMAND_LINE;
    let created = accounts::create(ctx, administrator, account, user.role(), source).await?;
    Ok(output.item(&AccountView::from(Account { user: created, state: AccountState::Active })).await?)
}

pub(super) async fn invite(
    ctx: &Context,
    administrator: Administrator,
    user: &NewUser,
    output: &mut Output,
) -> Result<(), Error> {
    let (person, role) = (user.parse()?, user.role());
    let Invited { account, link } =
        password_links::invite(ctx, administrator, person, role, RequestSource::COMMAND_LINE).await?;
    Ok(output.item(&InvitedView::new(account, &link)).await?)
}

pub(super) async fn reset_password(
    ctx: &Context,
    administrator: Administrator,
    id_or_email: &str,
    output: &mut Output,
) -> Result<(), Error> {
    let user = find(ctx, administrator, id_or_email).await?;
    let Invited { account, link } =
        password_links::reset(ctx, administrator, user.id, LastAdmin::MayGo, RequestSource::COMMAND_LINE).await?;
    Ok(output.item(&InvitedView::new(account, &link)).await?)
}

pub(super) async fn set_role(
    ctx: &Context,
    administrator: Administrator,
    id_or_email: &str,
    role: &str,
    output: &mut Output,
) -> Result<(), Error> {
    let role = Role::parse(role).map_err(|error| vec![FieldError::new("role", error)])?;
    let user = find(ctx, administrator, id_or_email).await?;
    let user = roles::set(ctx, administrator, user.id, role, LastAdmin::MayGo, RequestSource::COMMAND_LINE).await?;
    Ok(output.item(&UserView::from(user)).await?)
}

pub(super) async fn unlock(
    ctx: &Context,
    administrator: Administrator,
    id_or_email: &str,
    output: &mut Output,
) -> Result<(), Error> {
    let user = find(ctx, administrator, id_or_email).await?;
    let whose = AttemptsOf::Account(user.email.clone());
    let cleared = attempts::clear(ctx, administrator, whose, RequestSource::COMMAND_LINE).await?;
    Ok(output.item(&CountView { user_email: user.email.to_string(), count: cleared as u64 }).await?)
}

pub(super) async fn sessions(
    ctx: &Context,
    administrator: Administrator,
    id_or_email: &str,
    output: &mut Output,
) -> Result<(), Error> {
    let user = find(ctx, administrator, id_or_email).await?;
    let mut cursor = None;
    loop {
        let request = PageRequest { cursor, limit: 100 };
        let page = administration::sessions(ctx, administrator, user.id, request).await?;
        for session in page.items {
            output.item(&SessionView::from(session)).await?;
        }
        cursor = page.next_cursor;
        if cursor.is_none() {
            return Ok(());
        }
    }
}

pub(super) async fn end_sessions(
    ctx: &Context,
    administrator: Administrator,
    id_or_email: &str,
    output: &mut Output,
) -> Result<(), Error> {
    let user = find(ctx, administrator, id_or_email).await?;
    let count = administration::end_sessions(ctx, administrator, user.id, RequestSource::COMMAND_LINE).await?;
    Ok(output.item(&CountView { user_email: user.email.to_string(), count }).await?)
}

pub(super) async fn list(
    ctx: &Context,
    administrator: Administrator,
    list: UserList,
    output: &mut Output,
) -> Result<(), Error> {
    let UserList { search, role, state, sort, reverse, limit } = list;
    let role = role.map(|text| Role::parse(&text).map_err(|error| vec![FieldError::new("role", error)]));
    let state = state.map(|text| AccountState::parse(&text).map_err(|error| vec![FieldError::new("state", error)]));
    let (role, state) = (role.transpose()?, state.transpose()?);
    let order = match sort {
        UserSort::Created => UserOrder::Created,
        UserSort::Name => UserOrder::Name,
        UserSort::Email => UserOrder::Email,
    };
    let list = inventory::UserList { search, role, state, order, reversed: reverse, limit };
    let each = async |account: Account| match output.item(&AccountView::from(account)).await {
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
    let details = administration::account(ctx, administrator, user.id).await?;
    Ok(output.item(&AccountDetailsView::from(details)).await?)
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

pub(super) async fn export(
    ctx: &Context,
    administrator: Administrator,
    id_or_email: &str,
    output: &mut Output,
) -> Result<(), Error> {
    let user = find(ctx, administrator, id_or_email).await?;
    export::prepare(ctx).await?;
    let mut position = ExportPosition::default();
    while let Some(batch) = export::next_of(ctx, administrator, user.id, position).await? {
        let item = |row| ExportItemView { section: batch.section.to_owned(), row };
        output.item(&item(None)).await?;
        for row in batch.rows {
            let row = serde_json::value::to_raw_value(&ExportRowView(row));
            output.item(&item(Some(row.map_err(|error| Error::Defect(error.to_string()))?))).await?;
        }
        position = batch.next;
    }
    Ok(())
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
