//! Where a request comes from, as the audit trail records it.

use std::{
    future::{Ready, ready},
    net::IpAddr,
};

use actix_web::{FromRequest, HttpMessage, HttpRequest, dev::Payload, http::header};
use uuid::Uuid;

use super::{
    client::ClientAddress,
    guard::{AdminPrincipal, ManagerPrincipal, SessionUser},
};
use crate::{
    domain::{
        audit::{Actor, RequestSource},
        keyed_request::KeyedRequest,
    },
    http::{error::ApiError, wire::request_id::RequestId},
};

/// The address and the id of a request. The handler adds the actor.
pub(crate) struct Source {
    pub(crate) address: IpAddr,
    request_id: Option<RequestId>,
    keyed: Option<Box<KeyedRequest>>,
}

impl Source {
    /// The source of a request with a session.
    pub(crate) fn by(self, signed_in: &SessionUser) -> RequestSource {
        self.with_actor(Actor::session(&signed_in.session))
    }

    /// The source of a request of an administrator, by a session or a token.
    pub(crate) fn by_admin(self, admin: &AdminPrincipal) -> RequestSource {
        self.with_actor(admin.actor)
    }

    /// The source of a request of a manager of service accounts, or of an administrator.
    pub(crate) fn by_manager(self, manager: &ManagerPrincipal) -> RequestSource {
        self.with_actor(manager.actor)
    }

    /// The source of a request without a credential, or with one that the operation checks.
    pub(crate) fn anonymous(self) -> RequestSource {
        self.with_actor(Actor::Anonymous)
    }

    /// The source of a request with a key.
    pub(crate) fn with_key(self, keyed: KeyedRequest) -> Self {
        Self { keyed: Some(Box::new(keyed)), ..self }
    }

    /// The source of a request that makes something with this id, if not with a new one.
    pub(crate) fn making(mut self, id: Uuid) -> Self {
        if let Some(keyed) = &mut self.keyed {
            keyed.made = id;
        }
        self
    }

    fn with_actor(self, actor: Actor) -> RequestSource {
        let request_id = self.request_id.map(|id| id.as_str().to_owned());
        RequestSource { actor, address: Some(self.address), request_id, keyed: self.keyed }
    }
}

/// The `User-Agent` of a request, for routes whose operation looks a secret up by itself.
pub(crate) struct ClientAgent(pub(crate) Option<String>);

impl FromRequest for ClientAgent {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let agent = request.headers().get(header::USER_AGENT).and_then(|agent| agent.to_str().ok());
        ready(Ok(Self(agent.map(str::to_owned))))
    }
}

impl FromRequest for Source {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let request_id = request.extensions().get::<RequestId>().copied();
        let address = ClientAddress::from_request(request, payload).into_inner();
        ready(address.map(|ClientAddress(address)| Self { address, request_id, keyed: None }))
    }
}
