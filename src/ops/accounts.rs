//! Accounts: registration, sign-in, passwords, and disabling.

use std::{net::IpAddr, sync::Arc};

use super::{
    context::Context,
    error::{Error, FieldError},
    new_id::new_id,
    sessions::IssuedSession,
    state::{
        measurements::ThrottledAction,
        passwords::{Against, Slot},
        throttle::Attempt,
    },
};
use crate::{
    domain::{
        account::{Email, Password, Role, User, UserCredentials},
        account_state::Account,
        audit::{Action, Entry, RequestSource},
        authority::Administrator,
        id::{EnvironmentId, SessionId, UserId},
        secret::{CredentialKind, Plaintext},
        session::{NewSession, Session},
        text::Name,
        time::Timestamp,
    },
    store::{Conflict, LastAdmin, PasswordChange, SignIn, StoreError},
};

/// The data of a new account.
#[derive(Debug)]
pub struct NewAccount {
    /// Its id and that of its default environment, if the caller has chosen them.
    pub ids: Option<(UserId, EnvironmentId)>,
    /// The user's name.
    pub name: Name,
    /// The e-mail address for sign-in.
    pub email: Email,
    /// The password.
    pub password: Password,
}

/// Fails with [`Error::RegistrationClosed`] if the configuration does not allow registration.
pub fn registration_open(ctx: &Context) -> Result<(), Error> {
    ctx.rules.registration.then_some(()).ok_or(Error::RegistrationClosed)
}

/// Registers an account over the API, for a client at the address `client`.
pub async fn register(
    ctx: &Context,
    client: IpAddr,
    account: NewAccount,
    source: RequestSource,
) -> Result<User, Error> {
    registration_open(ctx)?;
    ctx.expect_reliable_clock()?;
    ctx.passwords.expect_length("password", &account.password)?;
    let mut attempt = ctx
        .throttle
        .registration(client)
        .open(&*ctx.store)
        .await
        .inspect_err(ctx.throttled(ThrottledAction::Registration))?;
    let slot = ctx.passwords.acquire_slot().await?;
    attempt.begin();
    let created = create_at(ctx, slot, account, Role::Member, source).await;
    attempt.end(&created).await;
    created
}

/// Creates an account, even if registration is closed.
pub async fn create(
    ctx: &Context,
    _: Administrator,
    account: NewAccount,
    role: Role,
    source: RequestSource,
) -> Result<User, Error> {
    ctx.expect_reliable_clock()?;
    ctx.passwords.expect_length("password", &account.password)?;
    let slot = ctx.passwords.acquire_slot().await?;
    create_at(ctx, slot, account, role, source).await
}

async fn create_at(
    ctx: &Context,
    slot: Slot,
    account: NewAccount,
    role: Role,
    source: RequestSource,
) -> Result<User, Error> {
    let NewAccount { ids, name, email, password } = account;
    let password = ctx.passwords.hash_new(slot, "password", password, guessable(&name, &email)).await?;
    let by = ctx.attribution_to_issue(source)?;
    let mut user = new_user(name, email, role, by.at);
    (user.id, user.current_environment) = ids.unwrap_or((user.id, user.current_environment));
    ctx.store.add_user(user.clone(), password, by).await.map_err(email_taken)?;
    Ok(user)
}

/// A user with new ids.
pub(super) fn new_user(name: Name, email: Email, role: Role, created_at: Timestamp) -> User {
    User {
        id: UserId::new(new_id()),
        name,
        email,
        created_at,
        disabled_at: None,
        current_environment: EnvironmentId::new(new_id()),
        role,
    }
}

/// An attempt to sign in.
#[derive(Debug)]
pub struct SignInAttempt {
    /// The client's address.
    pub client: IpAddr,
    /// The e-mail address of the account.
    pub email: Email,
    /// The password.
    pub password: Password,
    /// A name for the new session.
    pub device_name: Option<Name>,
}

/// Signs a user in. An unknown address, a disabled account and a wrong password take the same work, record one audit event
/// each, and give the same [`Error::SignInRefused`]. If the event cannot be written, the error is the store's.
///
/// A throttled attempt records no event: a flood of them would fill the disk.
pub async fn sign_in(ctx: &Context, attempt: SignInAttempt, source: RequestSource) -> Result<IssuedSession, Error> {
    let signed_in = try_once(ctx, attempt, source).await;
    ctx.measurements.count_sign_in(&signed_in);
    signed_in
}

async fn try_once(ctx: &Context, attempt: SignInAttempt, source: RequestSource) -> Result<IssuedSession, Error> {
    // No session can be issued, so the password is not checked and the attempt does not count.
    ctx.expect_reliable_clock()?;
    let mut throttled = ctx
        .throttle
        .sign_in(attempt.client, &attempt.email)
        .open(&*ctx.store)
        .await
        .inspect_err(ctx.throttled(ThrottledAction::SignIn))?;
    let signed_in = judge_sign_in(ctx, attempt, &mut throttled, source).await;
    throttled.end(&signed_in).await;
    signed_in
}

async fn judge_sign_in(
    ctx: &Context,
    attempt: SignInAttempt,
    throttled: &mut Attempt<'_>,
    source: RequestSource,
) -> Result<IssuedSession, Error> {
    let SignInAttempt { client, email, password, device_name } = attempt;
    let password = Arc::new(password);
    let signed_in = match try_sign_in(ctx, &email, &password, device_name.clone(), throttled, &source).await {
        // Another sign-in has stored a new hash of the password, or the password was changed. A second attempt shows which.
        Err(Refused::Changed(_)) => try_sign_in(ctx, &email, &password, device_name, throttled, &source).await,
        first => first,
    };
    let (reason, user) = match signed_in {
        Ok(issued) => {
            log::info!(user:% = issued.user.id, session:% = issued.session.id, client:%; "signed in");
            return Ok(issued);
        }
        Err(Refused::For(reason, user)) => (reason, user),
        Err(Refused::Changed(user)) => (Reason::WrongPassword, Some(user)),
        Err(Refused::Failed(error)) => return Err(error),
    };
    // The address of the attempt is neither logged nor stored: people type their password into that field by mistake.
    let known = user.map_or_else(|| "unknown".to_owned(), |id| id.to_string());
    log::warn!(user = known, client:%, reason:%; "sign-in refused");
    let refused = Entry::refused(user, Action::SignInRefused, reason.code());
    ctx.store.record_refusal(refused, ctx.attribution(source)).await?;
    Err(Error::SignInRefused)
}

async fn try_sign_in(
    ctx: &Context,
    email: &Email,
    password: &Arc<Password>,
    device_name: Option<Name>,
    throttled: &mut Attempt<'_>,
    source: &RequestSource,
) -> Result<IssuedSession, Refused> {
    let known = ctx.store.credentials_by_email(email).await?;
    let stored = known.as_ref().and_then(|known| known.password.as_ref());
    let against = stored.map_or(Against::UnknownAccount(email), Against::Stored);
    let slot = ctx.passwords.acquire_slot().await?;
    throttled.begin();
    let checked = ctx.passwords.check(slot, Arc::clone(password), against).await?;
    let Some(UserCredentials { user, password }) = known else {
        return Err(Refused::For(Reason::UnknownUser, None));
    };
    let Some(verified) = password else { return Err(Refused::For(Reason::NoPassword, Some(user.id))) };
    if !checked.matches {
        return Err(Refused::For(Reason::WrongPassword, Some(user.id)));
    }
    if user.disabled_at.is_some() {
        return Err(Refused::For(Reason::Disabled, Some(user.id)));
    }
    let plaintext = Plaintext::generate(CredentialKind::Session, &ctx.rules.prefixes).map_err(Error::from)?;
    let by = ctx.attribution_to_issue(source.clone())?;
    let session = Session {
        id: SessionId::new(new_id()),
        user: user.id,
        device_name,
        created_at: by.at,
        last_used_at: by.at,
        expires_at: by.at.plus(ctx.rules.session_lifetime),
    };
    let new = NewSession { session: session.clone(), hash: plaintext.hash() };
    match ctx.store.sign_in(SignIn { session: new, verified, rehashed: checked.rehashed }, by).await {
        Ok(()) => Ok(IssuedSession { session, user, plaintext }),
        Err(StoreError::NotFound | StoreError::Conflict(Conflict::CredentialsChanged)) => {
            Err(Refused::Changed(user.id))
        }
        Err(error) => Err(error.into()),
    }
}

/// Why an attempt to sign in failed.
enum Refused {
    For(Reason, Option<UserId>),
    /// The stored password is no longer the one that was checked.
    Changed(UserId),
    Failed(Error),
}

impl<E: Into<Error>> From<E> for Refused {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

/// Why a sign-in was refused. Only the log and the audit trail show it.
#[derive(Clone, Copy, Debug, thiserror::Error)]
enum Reason {
    #[error("unknown user")]
    UnknownUser,
    #[error("wrong password")]
    WrongPassword,
    #[error("disabled")]
    Disabled,
    #[error("no password is set")]
    NoPassword,
}

impl Reason {
    const fn code(self) -> &'static str {
        match self {
            Self::UnknownUser => "unknown_user",
            Self::WrongPassword => "wrong_password",
            Self::Disabled => "disabled",
            Self::NoPassword => "no_password",
        }
    }
}

/// Changes the password of the signed-in user and ends all their sessions except `session`.
pub async fn change_password(
    ctx: &Context,
    session: &Session,
    client: IpAddr,
    current: Password,
    new: Password,
    source: RequestSource,
) -> Result<(), Error> {
    let mut throttled = ctx
        .throttle
        .confirmation(session.id, session.user)
        .open(&*ctx.store)
        .await
        .inspect_err(ctx.throttled(ThrottledAction::Confirmation))?;
    let changed = async {
        let UserCredentials { user, password } = ctx.store.credentials(session.user).await?;
        // An administrator has just reset it.
        let stored = password.ok_or_else(wrong_current_password)?;
        let slot = ctx.passwords.acquire_slot().await?;
        throttled.begin();
        let words = guessable(&user.name, &user.email);
        let replaced = ctx.passwords.replace(slot, current, &stored, new, words).await;
        if matches!(replaced, Err(Error::Invalid(_))) {
            throttled.confirm();
        }
        let Some(password) = replaced? else {
            return Err(refuse_confirmation(ctx, &user, client, Action::UserPasswordChanged, source).await);
        };
        let change = PasswordChange { verified: Some(stored), password };
        match ctx.store.change_password(user.id, change, ctx.attribution(source)).await {
            Err(StoreError::Conflict(Conflict::CredentialsChanged)) => Err(wrong_current_password()),
            changed => Ok(changed?),
        }
    };
    let changed = changed.await;
    throttled.end(&changed).await;
    changed
}

/// Records that a signed-in user gave a wrong current password, and returns the error for them.
pub(super) async fn refuse_confirmation(
    ctx: &Context,
    user: &User,
    client: IpAddr,
    action: Action,
    source: RequestSource,
) -> Error {
    let reason = Reason::WrongPassword;
    let what = match action {
        Action::UserEmailChanged => "change of address",
        Action::UserDeleted => "deletion of the account",
        _ => "password change",
    };
    log::warn!(user:% = user.id, client:%, reason:%; "{what} refused");
    let refused = Entry::refused(Some(user.id), action, reason.code());
    match ctx.store.record_refusal(refused, ctx.attribution(source)).await {
        Ok(()) => wrong_current_password(),
        Err(error) => error.into(),
    }
}

/// Sets a user's password without their current one, and ends all their sessions.
pub async fn set_password(
    ctx: &Context,
    _: Administrator,
    user: &User,
    new: Password,
    source: RequestSource,
) -> Result<(), Error> {
    ctx.passwords.expect_length("password", &new)?;
    let slot = ctx.passwords.acquire_slot().await?;
    let password = ctx.passwords.hash_new(slot, "password", new, guessable(&user.name, &user.email)).await?;
    let change = PasswordChange { verified: None, password };
    Ok(ctx.store.change_password(user.id, change, ctx.attribution(source)).await?)
}

/// Finds a user by id or e-mail address.
pub async fn find(ctx: &Context, _: Administrator, id_or_email: &str) -> Result<User, Error> {
    if let Some(id) = UserId::parse(id_or_email) {
        return Ok(ctx.store.user(id).await?);
    }
    let email = Email::parse_stored(id_or_email).map_err(|_| Error::NotFound)?;
    Ok(ctx.store.credentials_by_email(&email).await?.ok_or(Error::NotFound)?.user)
}

/// Whether there is any account.
pub async fn exist(ctx: &Context) -> Result<bool, Error> {
    Ok(!ctx.store.users(None, 1).await?.is_empty())
}

/// Disables a user: their sessions and their password link end, and their tokens are refused until the user is enabled.
/// [`StateConflict::LastAdmin`](super::StateConflict::LastAdmin) if the user is the last enabled administrator and `last`
/// protects them.
pub async fn disable(
    ctx: &Context,
    _: Administrator,
    user: UserId,
    last: LastAdmin,
    source: RequestSource,
) -> Result<Account, Error> {
    Ok(ctx.store.disable_user(user, last, ctx.attribution(source)).await?)
}

/// Enables a user: sign-in works and their tokens are accepted again.
pub async fn enable(ctx: &Context, _: Administrator, user: UserId, source: RequestSource) -> Result<Account, Error> {
    Ok(ctx.store.enable_user(user, ctx.attribution(source)).await?)
}

/// Words that an attacker would try first: parts of the name and the address.
pub(super) fn guessable(name: &Name, email: &Email) -> Vec<String> {
    let (name, email) = (name.as_str().to_lowercase(), email.as_str().to_lowercase());
    let words = name.split_whitespace().chain(email.split(['@', '.', '-', '_', '+']));
    let whole = [name.split_whitespace().collect(), email.clone(), "patd".to_owned()];
    words.map(str::to_owned).chain(whole).collect()
}

pub(super) fn wrong_current_password() -> Error {
    FieldError { field: "current_password".into(), message: "The password is incorrect.".into() }.into()
}

pub(super) fn email_taken(error: StoreError) -> Error {
    match error {
        StoreError::Conflict(Conflict::EmailTaken) => {
            FieldError { field: "email".into(), message: "The email has already been taken.".into() }.into()
        }
        other => other.into(),
    }
}
