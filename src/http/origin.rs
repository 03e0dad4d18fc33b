//! Whence a request comes, as the audit trail tells it.

use std::{
    future::{Ready, ready},
    net::IpAddr,
};

use actix_web::{FromRequest, HttpMessage, HttpRequest, dev::Payload};

use super::{client::ClientAddress, envelope::RequestId, error::ApiError, guard::SessionUser};
use crate::domain::audit::{Actor, RequestSource};

/// The address and the identifier of a request. Who acts is the handler's to say, since its guard knows.
pub(super) struct Source {
    pub(super) address: IpAddr,
    request_id: Option<RequestId>,
}

impl Source {
    /// By somebody who is signed in.
    pub(super) fn by(self, asking: &SessionUser) -> RequestSource {
        self.acting(Actor::Session(asking.session.id))
    }

    /// By somebody without a credential, or with one that is judged elsewhere.
    pub(super) fn anonymous(self) -> RequestSource {
        self.acting(Actor::Anonymous)
    }

    fn acting(self, actor: Actor) -> RequestSource {
        let request_id = self.request_id.map(|id| id.as_str().to_owned());
        RequestSource { actor, address: Some(self.address), request_id }
    }
}

impl FromRequest for Source {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let request_id = request.extensions().get::<RequestId>().copied();
        let address = ClientAddress::from_request(request, payload).into_inner();
        ready(address.map(|ClientAddress(address)| Self { address, request_id }))
    }
}
