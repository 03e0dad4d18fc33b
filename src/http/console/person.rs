//! The person who is signed in.

use actix_web::{FromRequest, HttpRequest, dev::Payload};
use futures_util::future::LocalBoxFuture;
use zeroize::Zeroizing;

use super::{
    cookie,
    layout::{Layout, Signed},
    look::Look,
    page::{PageError, Refused},
};
use crate::{
    domain::{
        account::Role,
        secret::{CredentialKind, PresentedCredential},
    },
    http::input::guard::{AdminPrincipal, AdminSession, Requirement, SessionUser, record, state_and_caller},
    ops::{self, Context, principal::Principal, verification::authenticate},
};

/// The person who is signed in, by the session in their cookie. A handler with this argument is called only if there is one.
pub(crate) struct Person {
    pub(super) look: Look,
    pub(super) user: SessionUser,
    principal: Principal,
    /// The secret of their session.
    pub(super) credential: Zeroizing<String>,
}

impl Person {
    pub(super) fn ops(&self) -> &Context {
        &self.look.state.ops
    }

    pub(super) fn is_admin(&self) -> bool {
        self.user.user.role == Role::Admin
    }

    /// The power of an administrator.
    pub(super) fn administrator(&self) -> Result<AdminPrincipal, PageError> {
        let AdminSession(admin) = AdminSession::check(self.principal.clone())?;
        Ok(admin)
    }

    async fn of(request: &HttpRequest, look: &Look) -> Result<Self, PageError> {
        let (state, caller) = state_and_caller(request);
        let credential = cookie::read(request, look).ok_or(PageError::SignIn)?;
        let presented = PresentedCredential::parse(&credential, &state.ops.rules.prefixes);
        // A token in the cookie is no session, and is not used by this.
        if !presented.is_ok_and(|presented| presented.kind == CredentialKind::Session) {
            return Err(PageError::SignIn);
        }
        let result = authenticate(&state.ops, &credential, caller).await;
        let ended = matches!(result, Err(ops::Error::Rejected(_)));
        let principal = record(request, &credential, result).await;
        if ended {
            return Err(PageError::SignIn);
        }
        let principal = principal?;
        let user = SessionUser::check(principal.clone())?;
        Ok(Self { look: look.clone(), user, principal, credential })
    }
}

impl Layout {
    /// A page of a person.
    pub(super) fn of(person: &Person, title: &str) -> Self {
        let signed = Signed { name: person.user.user.name.to_string(), is_admin: person.is_admin() };
        Self { person: Some(signed), ..Self::of_nobody(&person.look, title) }
    }
}

impl FromRequest for Person {
    type Error = Refused;
    type Future = LocalBoxFuture<'static, Result<Self, Refused>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move {
            let look = Look::of(&request);
            Self::of(&request, &look).await.map_err(|error| look.refused(error))
        })
    }
}
