//! Password links: invitations and resets by an administrator, and the passwords that users set with them.

use std::net::IpAddr;

use super::{
    accounts::{email_taken, guessable, new_user},
    context::Context,
    error::{Error, FieldError},
    new_id::id_to_make,
    state::measurements::ThrottledAction,
};
use crate::{
    domain::{
        account::{Email, Password, Role, User},
        account_state::{Account, AccountState},
        audit::{Action, Attribution, Entry, RequestSource},
        authority::Administrator,
        id::UserId,
        password_link::{self, IssuedPasswordLink, NewPasswordLink},
        secret::TokenHash,
        text::Name,
    },
    store::{LastAdmin, StoreError},
};

/// An account whose user is to set a password, and the link for it.
#[derive(Debug)]
pub struct Invited {
    /// The account.
    pub account: Account,
    /// The link.
    pub link: IssuedPasswordLink,
}

/// Creates an account without a password, and a link with which its user can set one.
pub async fn invite(
    ctx: &Context,
    _: Administrator,
    (name, email): (Name, Email),
    role: Role,
    source: RequestSource,
) -> Result<Invited, Error> {
    let by = ctx.attribution_to_issue(source)?;
    let (new, link) = issue(ctx, &by)?;
    let user = User { id: UserId::new(id_to_make(&by.origin)), ..new_user(name, email, role, by.at) };
    ctx.store.invite_user(user.clone(), new, by).await.map_err(email_taken)?;
    Ok(Invited { account: Account { user, state: AccountState::Invited }, link })
}

/// Removes a user's password, ends their sessions, and makes a link with which the user can set another password. Earlier
/// links of the user end. [`StateConflict::LastAdmin`](super::StateConflict::LastAdmin) if the user is the last enabled
/// administrator with a password and `last` protects them.
pub async fn reset(
    ctx: &Context,
    _: Administrator,
    user: UserId,
    last: LastAdmin,
    source: RequestSource,
) -> Result<Invited, Error> {
    let by = ctx.attribution_to_issue(source)?;
    let (new, link) = issue(ctx, &by)?;
    Ok(Invited { account: ctx.store.reset_password(user, new, last, by).await?, link })
}

fn issue(ctx: &Context, by: &Attribution) -> Result<(NewPasswordLink, IssuedPasswordLink), Error> {
    let plaintext = password_link::generate()?;
    let expires_at = by.at.plus(ctx.rules.invitation_lifetime);
    Ok((NewPasswordLink { hash: plaintext.hash(), expires_at }, IssuedPasswordLink { plaintext, expires_at }))
}

/// Sets the password of the user to whom the link `secret` belongs, once.
///
/// A link that is unknown, used or expired, or whose user is disabled, gets the same error after the same work: one look-up
/// and one audit event. Only a usable link makes the server hash a password.
pub async fn set_password(
    ctx: &Context,
    client: IpAddr,
    secret: &str,
    password: Password,
    source: RequestSource,
) -> Result<(), Error> {
    ctx.expect_reliable_clock()?;
    ctx.passwords.expect_length("password", &password)?;
    let mut throttled = ctx
        .throttle
        .password_link(client)
        .open(&*ctx.store)
        .await
        .inspect_err(ctx.throttled(ThrottledAction::PasswordLink))?;
    throttled.begin();
    let set = match password_link::parse(secret) {
        Some(hash) => try_set_password(ctx, hash, password, source.clone()).await,
        None => Err(Refused::Link(None)),
    };
    let set = match set {
        Ok(user) => {
            log::info!(user:%, client:%; "password set with a link");
            Ok(())
        }
        Err(Refused::Link(user)) => refuse(ctx, user, client, source).await,
        Err(Refused::Failed(error)) => Err(error),
    };
    throttled.end(&set).await;
    set
}

/// Why a password was not set.
enum Refused {
    /// The link is not usable. Its user, if it is known.
    Link(Option<UserId>),
    Failed(Error),
}

impl<E: Into<Error>> From<E> for Refused {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

async fn try_set_password(
    ctx: &Context,
    hash: TokenHash,
    password: Password,
    source: RequestSource,
) -> Result<UserId, Refused> {
    let Some(link) = ctx.store.password_link(hash).await? else { return Err(Refused::Link(None)) };
    let user = link.user.id;
    if !link.is_usable(ctx.clock.now()) {
        return Err(Refused::Link(Some(user)));
    }
    let slot = ctx.passwords.acquire_slot().await?;
    let words = guessable(&link.user.name, &link.user.email);
    let password = ctx.passwords.hash_new(slot, "password", password, words).await?;
    match ctx.store.set_password_by_link(hash, password, ctx.attribution_to_issue(source)?).await {
        Ok(()) => Ok(user),
        // Another request has used it, or it has ended meanwhile.
        Err(StoreError::NotFound) => Err(Refused::Link(Some(user))),
        Err(error) => Err(error.into()),
    }
}

async fn refuse(ctx: &Context, user: Option<UserId>, client: IpAddr, source: RequestSource) -> Result<(), Error> {
    let known = user.map_or_else(|| "unknown".to_owned(), |id| id.to_string());
    log::warn!(user = known, client:%, reason = "the link is unknown, used or expired"; "password link refused");
    let refused = Entry::refused(user, Action::UserPasswordChanged, "link_not_usable");
    ctx.store.record_refusal(refused, ctx.attribution(source)).await?;
    let predicate = "is not a valid link: it is unknown, was used, or has expired. Ask an administrator for a new one.";
    Err(FieldError::new("token", predicate).into())
}
