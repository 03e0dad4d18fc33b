//! The state by which requests are judged. A reload replaces it, and each request keeps the one that it began with.

use std::{
    cell::RefCell,
    future::{Ready, ready},
    ops::Deref,
    sync::Arc,
};

use actix_web::{FromRequest, HttpMessage, HttpRequest, dev::Payload};
use arc_swap::{ArcSwap, Cache};

use super::AppState;
use crate::{config::Config, http::error::ApiError};

/// The state of requests that begin now.
#[derive(Clone)]
pub struct CurrentState(Arc<ArcSwap<AppState>>);

impl CurrentState {
    pub(crate) fn new(state: AppState) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(state)))
    }

    /// Do not keep it: after a reload, it is the state of earlier requests.
    pub(crate) fn get(&self) -> State {
        State(self.0.load_full())
    }

    /// Requests that begin from now on are judged by `config`. Those that began earlier are not affected. What
    /// [`Config::reloaded`] does not change stays as it is.
    pub fn reload(&self, config: &Config) {
        self.0.store(Arc::new(self.get().with_settings(config)));
    }

    pub(crate) fn on_this_worker(&self) -> WorkerState {
        WorkerState(RefCell::new(Cache::new(Arc::clone(&self.0))))
    }
}

/// The same for one worker, which gets it without a write to memory that workers share, unless there was a reload.
pub(crate) struct WorkerState(RefCell<Cache<Arc<ArcSwap<AppState>>, Arc<AppState>>>);

impl WorkerState {
    pub(crate) fn get(&self) -> State {
        State(Arc::clone(self.0.borrow_mut().load()))
    }
}

/// The state by which one request is judged, from its beginning to its end.
#[derive(Clone)]
pub(crate) struct State(Arc<AppState>);

impl State {
    /// The state of a request to a route.
    pub(crate) fn of(request: &HttpRequest) -> Self {
        request.extensions().get::<Self>().expect("the envelope gives every request its state").clone()
    }
}

impl Deref for State {
    type Target = AppState;

    fn deref(&self) -> &AppState {
        &self.0
    }
}

impl FromRequest for State {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Ok(Self::of(request)))
    }
}
