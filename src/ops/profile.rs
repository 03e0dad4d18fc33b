//! What a person changes of their account beside its password: the name, and the address they sign in with.
//!
//! Nothing proves that an address is the person's who takes it, and proxies hand addresses on as identities. So a person
//! changes theirs only where the configuration lets them, and with the password.

use std::net::IpAddr;

use super::{
    accounts::{email_taken, refuse_confirmation, wrong_current_password},
    context::Context,
    error::{Error, FieldError},
    state::throttle::Attempt,
};
use crate::{
    domain::{
        account::{Email, Password, User, UserCredentials},
        audit::{Action, Entry, RequestSource},
        session::Session,
        text::Name,
    },
    store::{Conflict, ProfileChange, StoreError},
};

/// What a person wants to be changed; what is `None` stays.
#[derive(Debug, Default)]
pub struct ProfileUpdate {
    /// The new name.
    pub name: Option<Name>,
    /// The new address. One that is theirs already changes nothing.
    pub email: Option<Email>,
    /// The current password, which a new address needs.
    pub current_password: Option<Password>,
}

/// Changes a person's name or address on their own request.
pub async fn update(
    ctx: &Context,
    session: &Session,
    client: IpAddr,
    update: ProfileUpdate,
    origin: RequestSource,
) -> Result<User, Error> {
    let ProfileUpdate { name, email, current_password } = update;
    let Some(email) = email else {
        let change = ProfileChange { name, ..ProfileChange::default() };
        return Ok(ctx.store.change_profile(session.user, change, ctx.attribution(origin)).await?);
    };
    let credentials = ctx.store.credentials(session.user).await?;
    if email == credentials.user.email {
        let change = ProfileChange { name, ..ProfileChange::default() };
        return Ok(ctx.store.change_profile(session.user, change, ctx.attribution(origin)).await?);
    }
    if !ctx.rules.email_change {
        return Err(FieldError::new("email", "cannot be changed on this server. Ask its administrator.").into());
    }
    let Some(current) = current_password else {
        return Err(FieldError::new("current_password", "is required to change the email.").into());
    };
    let mut counted = ctx.throttle.address_change(session.id, session.user).map_err(Error::Throttled)?;
    let change = ProfileChange { name, email: Some(email), ..ProfileChange::default() };
    let changed = change_address(ctx, credentials, current, change, &mut counted, (client, origin)).await;
    counted.end(&changed);
    changed
}

async fn change_address(
    ctx: &Context,
    credentials: UserCredentials,
    current: Password,
    change: ProfileChange,
    counted: &mut Attempt<'_>,
    (client, origin): (IpAddr, RequestSource),
) -> Result<User, Error> {
    let UserCredentials { user, password: stored } = credentials;
    let slot = ctx.passwords.acquire_slot().await?;
    counted.begin();
    if !ctx.passwords.confirm(slot, current, &stored).await? {
        return Err(refuse_confirmation(ctx, &user, client, Action::UserEmailChanged, origin).await);
    }
    let change = ProfileChange { verified: Some(stored), ..change };
    match ctx.store.change_profile(user.id, change, ctx.attribution(origin.clone())).await {
        Err(StoreError::Conflict(Conflict::CredentialsChanged)) => Err(wrong_current_password()),
        Err(error @ StoreError::Conflict(Conflict::EmailTaken)) => {
            log::warn!(user:% = user.id, client:%, reason = "email taken"; "change of address refused");
            let refused = Entry::refused(Some(user.id), Action::UserEmailChanged, "email_taken");
            ctx.store.record_refusal(refused, ctx.attribution(origin)).await?;
            Err(email_taken(error))
        }
        changed => Ok(changed?),
    }
}

/// Changes a user's address without asking for their password.
pub async fn set_email(ctx: &Context, user: &User, email: Email, origin: RequestSource) -> Result<User, Error> {
    let change = ProfileChange { email: Some(email), ..ProfileChange::default() };
    ctx.store.change_profile(user.id, change, ctx.attribution(origin)).await.map_err(email_taken)
}
