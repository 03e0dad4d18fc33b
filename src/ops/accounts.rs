//! Accounts: making them, signing in, profiles, passwords, and switching them off.

use std::{net::IpAddr, sync::Arc};

use super::{
    context::Context,
    error::{Error, FieldError},
    new_id::new_id,
    sessions::IssuedSession,
    state::{
        passwords::{Against, Slot},
        throttle::Attempt,
    },
};
use crate::{
    domain::{
        account::{Email, Password, User, UserCredentials},
        audit::{Action, Entry, RequestSource},
        id::{EnvironmentId, SessionId, UserId},
        secret::{CredentialKind, Plaintext},
        session::{NewSession, Session},
        text::Name,
    },
    store::{Conflict, PasswordChange, SignIn, StoreError},
};

/// What makes an account.
#[derive(Debug)]
pub struct NewAccount {
    /// What the person is called.
    pub name: Name,
    /// The address they sign in with.
    pub email: Email,
    /// Their password.
    pub password: Password,
}

/// Whether the configuration lets strangers make accounts; else [`Error::RegistrationClosed`].
pub fn registration_open(ctx: &Context) -> Result<(), Error> {
    ctx.rules.registration.then_some(()).ok_or(Error::RegistrationClosed)
}

/// Makes an account for a stranger at `client`, where the configuration lets strangers in.
pub async fn register(
    ctx: &Context,
    client: IpAddr,
    account: NewAccount,
    origin: RequestSource,
) -> Result<User, Error> {
    registration_open(ctx)?;
    ctx.expect_reliable_clock()?;
    ctx.passwords.expect_length("password", &account.password)?;
    let mut attempt = ctx.throttle.registration(client).map_err(Error::Throttled)?;
    let slot = ctx.passwords.acquire_slot().await?;
    attempt.begin();
    let created = create_at(ctx, slot, account, origin).await;
    attempt.end(&created);
    created
}

/// Makes an account.
pub async fn create(ctx: &Context, account: NewAccount, origin: RequestSource) -> Result<User, Error> {
    ctx.expect_reliable_clock()?;
    ctx.passwords.expect_length("password", &account.password)?;
    let slot = ctx.passwords.acquire_slot().await?;
    create_at(ctx, slot, account, origin).await
}

async fn create_at(ctx: &Context, slot: Slot, account: NewAccount, origin: RequestSource) -> Result<User, Error> {
    let NewAccount { name, email, password } = account;
    let password = ctx.passwords.hash_new(slot, "password", password, guessable(&name, &email)).await?;
    let by = ctx.attribution_to_issue(origin)?;
    let user = User {
        id: UserId::new(new_id()),
        name,
        email,
        created_at: by.at,
        disabled_at: None,
        current_environment: EnvironmentId::new(new_id()),
    };
    ctx.store.add_user(user.clone(), password, by).await.map_err(email_taken)?;
    Ok(user)
}

/// What a person presents to sign in.
#[derive(Debug)]
pub struct SignInAttempt {
    /// From where.
    pub client: IpAddr,
    /// As whom.
    pub email: Email,
    /// With which password.
    pub password: Password,
    /// What they call the device.
    pub device_name: Option<Name>,
}

/// Signs a person in. An unknown address, a disabled account and a wrong password take the same work, leave one event
/// each, and are one [`Error::SignInRefused`]. Where that event cannot be written, the store is out and says so.
///
/// An attempt that is throttled leaves no event, since a flood of them would fill the disk.
pub async fn sign_in(ctx: &Context, attempt: SignInAttempt, origin: RequestSource) -> Result<IssuedSession, Error> {
    // Before the password is checked and counted: no session can be issued.
    ctx.expect_reliable_clock()?;
    let mut counted = ctx.throttle.sign_in(attempt.client, &attempt.email).map_err(Error::Throttled)?;
    let signed_in = judge_sign_in(ctx, attempt, &mut counted, origin).await;
    counted.end(&signed_in);
    signed_in
}

async fn judge_sign_in(
    ctx: &Context,
    attempt: SignInAttempt,
    counted: &mut Attempt<'_>,
    origin: RequestSource,
) -> Result<IssuedSession, Error> {
    let SignInAttempt { client, email, password, device_name } = attempt;
    let password = Arc::new(password);
    let signed_in = match try_sign_in(ctx, &email, &password, device_name.clone(), counted, &origin).await {
        // Another sign-in renewed the hash meanwhile, or it is another password now: the second look tells which.
        Err(Refused::Changed(_)) => try_sign_in(ctx, &email, &password, device_name, counted, &origin).await,
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
    // The address that was tried is neither logged nor kept: people type their password into that field.
    let known = user.map_or_else(|| "unknown".to_owned(), |id| id.to_string());
    log::warn!(user = known, client:%, reason:%; "sign-in refused");
    let refused = Entry::refused(user, Action::SignInRefused, reason.code());
    ctx.store.record_refusal(refused, ctx.attribution(origin)).await?;
    Err(Error::SignInRefused)
}

async fn try_sign_in(
    ctx: &Context,
    email: &Email,
    password: &Arc<Password>,
    device_name: Option<Name>,
    counted: &mut Attempt<'_>,
    origin: &RequestSource,
) -> Result<IssuedSession, Refused> {
    let known = ctx.store.credentials_by_email(email).await?;
    let against = known.as_ref().map_or(Against::UnknownAccount(email), |known| Against::Stored(&known.password));
    let slot = ctx.passwords.acquire_slot().await?;
    counted.begin();
    let checked = ctx.passwords.check(slot, Arc::clone(password), against).await?;
    let UserCredentials { user, password: verified } = match known {
        None => return Err(Refused::For(Reason::UnknownUser, None)),
        Some(known) if !checked.matches => return Err(Refused::For(Reason::WrongPassword, Some(known.user.id))),
        Some(known) if known.user.disabled_at.is_some() => {
            return Err(Refused::For(Reason::Disabled, Some(known.user.id)));
        }
        Some(known) => known,
    };
    let plaintext = Plaintext::generate(CredentialKind::Session, &ctx.rules.prefixes).map_err(Error::from)?;
    let by = ctx.attribution_to_issue(origin.clone())?;
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

/// Why an attempt to sign in came to nothing.
enum Refused {
    For(Reason, Option<UserId>),
    /// What was checked is no longer what is stored.
    Changed(UserId),
    Failed(Error),
}

impl<E: Into<Error>> From<E> for Refused {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

/// Why a password was not enough: for the log and the audit trail alone.
#[derive(Clone, Copy, Debug, thiserror::Error)]
enum Reason {
    #[error("unknown user")]
    UnknownUser,
    #[error("wrong password")]
    WrongPassword,
    #[error("disabled")]
    Disabled,
}

impl Reason {
    const fn code(self) -> &'static str {
        match self {
            Self::UnknownUser => "unknown_user",
            Self::WrongPassword => "wrong_password",
            Self::Disabled => "disabled",
        }
    }
}

/// Changes a person's password on their own request, which ends all their sessions but `session`.
pub async fn change_password(
    ctx: &Context,
    session: &Session,
    client: IpAddr,
    current: Password,
    new: Password,
    origin: RequestSource,
) -> Result<(), Error> {
    let mut counted = ctx.throttle.confirmation(session.id, session.user).map_err(Error::Throttled)?;
    let changed = async {
        let UserCredentials { user, password: stored } = ctx.store.credentials(session.user).await?;
        let slot = ctx.passwords.acquire_slot().await?;
        counted.begin();
        let words = guessable(&user.name, &user.email);
        let Some(password) = ctx.passwords.replace(slot, current, &stored, new, words).await? else {
            return Err(refuse_confirmation(ctx, &user, client, Action::UserPasswordChanged, origin).await);
        };
        let change = PasswordChange { verified: Some(stored), password };
        match ctx.store.change_password(user.id, change, ctx.attribution(origin)).await {
            Err(StoreError::Conflict(Conflict::CredentialsChanged)) => Err(wrong_current_password()),
            changed => Ok(changed?),
        }
    };
    let changed = changed.await;
    counted.end(&changed);
    changed
}

/// Notes that somebody who is signed in did not know the password of the account, and answers what they are told.
pub(super) async fn refuse_confirmation(
    ctx: &Context,
    user: &User,
    client: IpAddr,
    action: Action,
    origin: RequestSource,
) -> Error {
    let reason = Reason::WrongPassword;
    let what = if action == Action::UserEmailChanged { "change of address" } else { "password change" };
    log::warn!(user:% = user.id, client:%, reason:%; "{what} refused");
    let refused = Entry::refused(Some(user.id), action, reason.code());
    match ctx.store.record_refusal(refused, ctx.attribution(origin)).await {
        Ok(()) => wrong_current_password(),
        Err(error) => error.into(),
    }
}

/// Sets a user's password without asking for the current one, which ends all their sessions.
pub async fn set_password(ctx: &Context, user: &User, new: Password, origin: RequestSource) -> Result<(), Error> {
    ctx.passwords.expect_length("password", &new)?;
    let slot = ctx.passwords.acquire_slot().await?;
    let password = ctx.passwords.hash_new(slot, "password", new, guessable(&user.name, &user.email)).await?;
    let change = PasswordChange { verified: None, password };
    Ok(ctx.store.change_password(user.id, change, ctx.attribution(origin)).await?)
}

/// Finds a user by identifier or e-mail address, as a person would type either.
pub async fn find(ctx: &Context, who: &str) -> Result<User, Error> {
    if let Some(id) = UserId::parse(who) {
        return Ok(ctx.store.user(id).await?);
    }
    let email = Email::parse_stored(who).map_err(|_| Error::NotFound)?;
    Ok(ctx.store.credentials_by_email(&email).await?.ok_or(Error::NotFound)?.user)
}

/// Lists users, oldest first.
pub async fn list(ctx: &Context, after: Option<UserId>, limit: u32) -> Result<Vec<User>, Error> {
    Ok(ctx.store.users(after, limit).await?)
}

/// Disables a user: their sessions end for good, and their tokens are refused for as long as they are disabled.
pub async fn disable(ctx: &Context, user: UserId, origin: RequestSource) -> Result<User, Error> {
    Ok(ctx.store.disable_user(user, ctx.attribution(origin)).await?)
}

/// Enables a user: they may sign in, and their tokens are accepted again.
pub async fn enable(ctx: &Context, user: UserId, origin: RequestSource) -> Result<User, Error> {
    Ok(ctx.store.enable_user(user, ctx.attribution(origin)).await?)
}

/// What a guesser would try first: the person's names, as one word and as several, and the address.
fn guessable(name: &Name, email: &Email) -> Vec<String> {
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
