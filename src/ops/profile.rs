//! Changes of a user's name and e-mail address.
//!
//! Nothing proves that a new address belongs to the user, and proxies may pass addresses on as identities. So users may
//! change their own address only if the configuration allows it, and only with their password.

use std::net::IpAddr;

use super::{
    accounts::{email_taken, refuse_confirmation, wrong_current_password},
    context::Context,
    error::{Error, FieldError},
    state::{measurements::ThrottledAction, throttle::Attempt},
};
use crate::{
    domain::{
        account::{Email, Password, User, UserCredentials},
        audit::{Action, Entry, RequestSource},
        authority::Administrator,
        session::Session,
        text::Name,
    },
    store::{Conflict, ProfileChange, StoreError},
};

/// The fields to change. `None` leaves a field as it is.
#[derive(Debug, Default)]
pub struct ProfileUpdate {
    /// The new name.
    pub name: Option<Name>,
    /// The new address. The present one changes nothing.
    pub email: Option<Email>,
    /// The current password. It is needed for a new address.
    pub current_password: Option<Password>,
}

/// Changes the name or address of the signed-in user.
pub async fn update(
    ctx: &Context,
    session: &Session,
    client: IpAddr,
    update: ProfileUpdate,
    source: RequestSource,
) -> Result<User, Error> {
    let ProfileUpdate { name, email, current_password } = update;
    let Some(email) = email else { return rename(ctx, session, name, source).await };
    let credentials = ctx.store.credentials(session.user).await?;
    if email == credentials.user.email {
        return rename(ctx, session, name, source).await;
    }
    if !ctx.rules.email_change {
        return Err(FieldError::new("email", "cannot be changed on this server. Ask its administrator.").into());
    }
    let Some(current) = current_password else {
        return Err(FieldError::new("current_password", "is required to change the email.").into());
    };
    let mut throttled = ctx
        .throttle
        .address_change(session.id, session.user)
        .open(&*ctx.store)
        .await
        .inspect_err(ctx.throttled(ThrottledAction::EmailChange))?;
    let change = ProfileChange { name, email: Some(email), ..ProfileChange::default() };
    let changed = change_address(ctx, credentials, current, change, &mut throttled, (client, source)).await;
    throttled.end(&changed).await;
    changed
}

async fn rename(ctx: &Context, session: &Session, name: Option<Name>, source: RequestSource) -> Result<User, Error> {
    let change = ProfileChange { name, ..ProfileChange::default() };
    Ok(ctx.store.change_profile(session.user, change, ctx.attribution(source)).await?)
}

async fn change_address(
    ctx: &Context,
    credentials: UserCredentials,
    current: Password,
    change: ProfileChange,
    throttled: &mut Attempt<'_>,
    (client, source): (IpAddr, RequestSource),
) -> Result<User, Error> {
    let UserCredentials { user, password } = credentials;
    // An administrator has just reset it.
    let stored = password.ok_or_else(wrong_current_password)?;
    let slot = ctx.passwords.acquire_slot().await?;
    throttled.begin();
    if !ctx.passwords.confirm(slot, current, &stored).await? {
        return Err(refuse_confirmation(ctx, &user, client, Action::UserEmailChanged, source).await);
    }
    let change = ProfileChange { verified: Some(stored), ..change };
    match ctx.store.change_profile(user.id, change, ctx.attribution(source.clone())).await {
        Err(StoreError::Conflict(Conflict::CredentialsChanged)) => Err(wrong_current_password()),
        Err(error @ StoreError::Conflict(Conflict::EmailTaken)) => {
            log::warn!(user:% = user.id, client:%, reason = "email taken"; "change of address refused");
            let refused = Entry::refused(Some(user.id), Action::UserEmailChanged, "email_taken");
            ctx.store.record_refusal(refused, ctx.attribution(source)).await?;
            Err(email_taken(error))
        }
        changed => Ok(changed?),
    }
}

/// Sets a user's address without their password.
pub async fn set_email(
    ctx: &Context,
    _: Administrator,
    user: &User,
    email: Email,
    source: RequestSource,
) -> Result<User, Error> {
    let change = ProfileChange { email: Some(email), ..ProfileChange::default() };
    ctx.store.change_profile(user.id, change, ctx.attribution(source)).await.map_err(email_taken)
}
