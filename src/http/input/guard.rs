//! The guard: a handler names in its signature what it requires of the caller, and is called only if the caller has it.

use std::{borrow::Cow, sync::Arc};

use actix_web::{FromRequest, HttpMessage, HttpRequest, dev::Payload, http::header::HeaderMap};
use futures_util::future::LocalBoxFuture;

use super::{
    authorization_header::{bearer, bearer_or_basic},
    client::caller,
};
use crate::{
    domain::{
        ability::ServerAbility,
        account::User,
        audit::Actor,
        authority::{Administrator, Authority},
        id::UserId,
        keyed_request::KeyOwner,
        owner::Owner,
        secret::CredentialKind,
        session::{Session, SessionRecord},
    },
    http::{
        error::ApiError,
        state::current::State,
        wire::{log_subject, principal_summary::PrincipalSummary},
    },
    ops::{
        self,
        principal::Principal,
        token_usage,
        verification::{Caller, authenticate},
    },
};

/// What a handler requires of its caller, and what it gets to know of an accepted one.
pub(crate) trait Requirement: Sized {
    /// Where the credential is read from.
    fn credential(headers: &HeaderMap) -> Result<Cow<'_, str>, ApiError> {
        bearer(headers).map(Cow::Borrowed)
    }

    /// The ability that it asks of a token, for the counts of uses.
    const ABILITY: Option<ServerAbility> = None;

    /// Fails if the principal does not meet the requirement.
    fn check(principal: Principal) -> Result<Self, ops::Error>;
}

/// Calls a handler only for a principal that meets `R`.
pub(crate) struct Guard<R>(pub(crate) R);

impl<R: Requirement + 'static> FromRequest for Guard<R> {
    type Error = ApiError;
    type Future = LocalBoxFuture<'static, Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move {
            let credential = R::credential(request.headers())?;
            let (state, caller) = state_and_caller(&request);
            let result = authenticate(&state.ops, &credential, caller).await;
            let principal = record(&request, &credential, result).await?;
            let token = R::ABILITY.and_then(|ability| Some((principal.token()?.clone(), ability)));
            let checked = R::check(principal);
            if let Some((token, ability)) = token {
                token_usage::count_guarded(&state.ops, &token, ability, &checked);
            }
            Ok(Self(checked?))
        })
    }
}

pub(crate) fn state_and_caller(request: &HttpRequest) -> (State, Caller<'_>) {
    let state = State::of(request);
    let caller = caller(request.peer_addr(), request.headers(), &state);
    (state, caller)
}

/// Records the principal for the log line and the headers of the answer.
pub(crate) async fn record(
    request: &HttpRequest,
    credential: &str,
    result: Result<Principal, ops::Error>,
) -> Result<Principal, ApiError> {
    match result {
        Ok(principal) => {
            request.extensions_mut().insert(PrincipalSummary::new(&principal));
            Ok(principal)
        }
        Err(error) => {
            log_subject::note_token(request, credential, &error).await;
            Err(error.into())
        }
    }
}

/// Any accepted credential.
pub(crate) struct AnyCredential(pub(crate) Principal);

impl Requirement for AnyCredential {
    fn check(principal: Principal) -> Result<Self, ops::Error> {
        Ok(Self(principal))
    }
}

/// A session. Handlers that change accounts or tokens accept nothing else.
pub(crate) struct SessionUser {
    pub(crate) session: Session,
    pub(crate) user: User,
}

impl SessionUser {
    /// The authority to create a token of `owner`, who is the user or a service account that they manage. Only an
    /// administrator can grant reserved abilities.
    pub(crate) fn authority_to_grant(&self, owner: UserId) -> Authority {
        Administrator::with_role(self.user.role).map_or(Authority::User(owner), Authority::Administrator)
    }
}

impl Requirement for SessionUser {
    fn check(principal: Principal) -> Result<Self, ops::Error> {
        match principal {
            Principal::Session { record } => {
                let SessionRecord { session, user, .. } = Arc::unwrap_or_clone(record);
                Ok(Self { session, user })
            }
            Principal::PersonalAccessToken { .. } | Principal::EnvironmentToken { .. } => {
                Err(ops::Error::SessionRequired)
            }
        }
    }
}

/// An administrator, and the session or token by which they act.
pub(crate) struct AdminPrincipal {
    pub(crate) administrator: Administrator,
    pub(crate) actor: Actor,
}

impl AdminPrincipal {
    /// Whose keys those of the requests are.
    pub(crate) fn key_owner(&self) -> Result<KeyOwner, ops::Error> {
        self.actor.user().map(KeyOwner::User).ok_or(ops::Error::AdminRequired)
    }

    /// Fails if a token acts, where only a session may.
    pub(crate) fn expect_session(&self) -> Result<(), ops::Error> {
        if matches!(self.actor, Actor::Session { .. }) { Ok(()) } else { Err(ops::Error::SessionRequired) }
    }

    fn new(principal: &Principal, ability: ServerAbility) -> Result<Self, ops::Error> {
        let administrator = principal.administrator(ability)?;
        let actor = match principal {
            Principal::Session { record } => Actor::session(&record.session),
            Principal::PersonalAccessToken { record, .. } | Principal::EnvironmentToken { record, .. } => {
                Actor::token(&record.token)
            }
        };
        Ok(Self { administrator, actor })
    }
}

/// An administrator who reads, by a session or by a token with the ability `admin:read`.
pub(crate) struct AdminReader(pub(crate) AdminPrincipal);

impl Requirement for AdminReader {
    const ABILITY: Option<ServerAbility> = Some(ServerAbility::AdminRead);

    fn check(principal: Principal) -> Result<Self, ops::Error> {
        AdminPrincipal::new(&principal, ServerAbility::AdminRead).map(Self)
    }
}

/// An administrator, by a session or by a token with the ability `admin:*`.
pub(crate) struct Admin(pub(crate) AdminPrincipal);

impl Requirement for Admin {
    const ABILITY: Option<ServerAbility> = Some(ServerAbility::Admin);

    fn check(principal: Principal) -> Result<Self, ops::Error> {
        AdminPrincipal::new(&principal, ServerAbility::Admin).map(Self)
    }
}

/// An administrator's session. What creates or widens a credential, or sets who can sign in, accepts nothing else.
pub(crate) struct AdminSession(pub(crate) AdminPrincipal);

impl Requirement for AdminSession {
    fn check(principal: Principal) -> Result<Self, ops::Error> {
        match principal {
            Principal::Session { .. } => AdminPrincipal::new(&principal, ServerAbility::Admin).map(Self),
            Principal::PersonalAccessToken { .. } | Principal::EnvironmentToken { .. } => {
                Err(ops::Error::SessionRequired)
            }
        }
    }
}

/// Who manages service accounts: a user with a session, for those that they manage, or an administrator.
pub(crate) struct ManagerPrincipal {
    pub(crate) user: UserId,
    pub(crate) authority: Authority,
    pub(crate) actor: Actor,
}

impl ManagerPrincipal {
    /// Every session is accepted. A token must be an administrator's and have `ability`.
    fn new(principal: &Principal, ability: ServerAbility) -> Result<Self, ops::Error> {
        if let Principal::Session { record } = principal {
            let user = record.user.id;
            let actor = Actor::session(&record.session);
            let administrator = Administrator::with_role(record.user.role);
            let authority = administrator.map_or(Authority::User(user), Authority::Administrator);
            return Ok(Self { user, authority, actor });
        }
        let AdminPrincipal { administrator, actor } = AdminPrincipal::new(principal, ability)?;
        let user = principal.person().ok_or(ops::Error::AdminRequired)?.id;
        Ok(Self { user, authority: administrator.into(), actor })
    }
}

/// Who reads service accounts, by a session or by an administrator's token with the ability `admin:read`.
pub(crate) struct ServiceAccountReader(pub(crate) ManagerPrincipal);

impl Requirement for ServiceAccountReader {
    const ABILITY: Option<ServerAbility> = Some(ServerAbility::AdminRead);

    fn check(principal: Principal) -> Result<Self, ops::Error> {
        ManagerPrincipal::new(&principal, ServerAbility::AdminRead).map(Self)
    }
}

/// Who changes name and description of service accounts, by a session or by an administrator's token with the ability
/// `admin:*`.
pub(crate) struct ServiceAccountEditor(pub(crate) ManagerPrincipal);

impl Requirement for ServiceAccountEditor {
    const ABILITY: Option<ServerAbility> = Some(ServerAbility::Admin);

    fn check(principal: Principal) -> Result<Self, ops::Error> {
        ManagerPrincipal::new(&principal, ServerAbility::Admin).map(Self)
    }
}

/// A user by a session, or the owner of a token with the ability `user:read`.
pub(crate) struct AccountReader(pub(crate) Owner);

impl Requirement for AccountReader {
    const ABILITY: Option<ServerAbility> = Some(ServerAbility::UserRead);

    fn check(principal: Principal) -> Result<Self, ops::Error> {
        owner_with(&principal, ServerAbility::UserRead).map(Self)
    }
}

/// A user by a session, or the owner of a token with the ability `environments:read`.
pub(crate) struct EnvironmentReader {
    pub(crate) owner: UserId,
    /// Whether a token reads. It has no power of an administrator here, whatever the role of its owner.
    pub(crate) is_token: bool,
}

impl Requirement for EnvironmentReader {
    const ABILITY: Option<ServerAbility> = Some(ServerAbility::EnvironmentsRead);

    fn check(principal: Principal) -> Result<Self, ops::Error> {
        let owner = owner_with(&principal, ServerAbility::EnvironmentsRead)?.id();
        Ok(Self { owner, is_token: principal.kind() != CredentialKind::Session })
    }
}

/// The user or service account that a principal with `ability` stands for. An environment token stands for none, whatever
/// its abilities.
fn owner_with(principal: &Principal, ability: ServerAbility) -> Result<Owner, ops::Error> {
    let owner = match principal {
        Principal::Session { record } => Owner::User(record.user.clone()),
        Principal::PersonalAccessToken { record, .. } => Owner::clone(&record.owner),
        Principal::EnvironmentToken { .. } => return Err(ops::Error::SessionRequired),
    };
    principal.require(ability)?;
    Ok(owner)
}

/// A token with the ability `tokens:introspect`. Clients for introspection may send it as the password of Basic.
pub(crate) struct Introspector;

impl Requirement for Introspector {
    const ABILITY: Option<ServerAbility> = Some(ServerAbility::TokensIntrospect);

    fn credential(headers: &HeaderMap) -> Result<Cow<'_, str>, ApiError> {
        bearer_or_basic(headers)
    }

    fn check(principal: Principal) -> Result<Self, ops::Error> {
        principal.require(ServerAbility::TokensIntrospect)?;
        Ok(Self)
    }
}
