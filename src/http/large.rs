//! Answers that may be large: only so many of them are in memory at once, they are put into JSON on threads of their own,
//! and a connection is handed one piece after the other.
//!
//! The threads that serve connections answer the checks of proxies, too. To put a page of 256 KiB into JSON takes as long
//! as hundreds of checks, and a client that does not read its answer holds it in memory.

use std::{
    collections::HashMap,
    io, mem,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use actix_web::{
    FromRequest, HttpRequest, HttpResponse,
    body::{BodySize, MessageBody},
    dev::Payload,
    http::header::ContentType,
    web::{Bytes, Data},
};
use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use uuid::Uuid;

use super::{AppState, connections::Sending, error::ApiError};
use crate::{
    domain::page,
    ops::Error,
    threads::{Panicked, Threads},
};

/// What all answers together may take, in KiB.
const MEMORY: u32 = 8 * 1024;
/// What a page may take, in KiB: its items and the braces around them.
const PAGE: u32 = (page::MOST_BYTES / 1024) as u32 + 1;
/// How many answers one account may have in memory, so that one that reads none leaves room for the others.
const PER_ACCOUNT: usize = 4;
/// Threads that put answers into JSON, and by how much they let others go before.
const THREADS: usize = 2;
const STEPS_BACK: i32 = 15;
/// What a connection is handed at once.
const PIECE: usize = 16 * 1024;

/// The room for large answers.
pub(super) struct Large {
    threads: Threads,
    memory: Arc<Semaphore>,
    accounts: Mutex<HashMap<Uuid, Arc<Semaphore>>>,
    patience: Duration,
}

impl Large {
    /// Room for which a request waits no longer than `patience`. Starts its threads.
    pub(super) fn new(patience: Duration) -> io::Result<Self> {
        Ok(Self {
            threads: Threads::start_behind("patd-answer", THREADS, STEPS_BACK)?,
            memory: Arc::new(Semaphore::new(MEMORY as usize)),
            accounts: Mutex::default(),
            patience,
        })
    }

    /// Waits for room for `size` KiB, of the account first: who waits for that must not keep others from the rest.
    async fn room(&self, account: Option<Uuid>, size: u32) -> Result<Room, ApiError> {
        let waiting = async {
            let account = match account {
                Some(account) => Some(self.account(account).acquire_owned().await),
                None => None,
            };
            (account, Arc::clone(&self.memory).acquire_many_owned(size.min(MEMORY)).await)
        };
        let (account, memory) =
            tokio::time::timeout(self.patience, waiting).await.map_err(|_| ApiError::TooManyAnswers)?;
        Ok(Room {
            _account: account.map(|account| account.expect("the semaphore is never closed")),
            memory: memory.expect("the semaphore is never closed"),
        })
    }

    /// The places of one account. Those of accounts that have all of theirs are forgotten meanwhile.
    fn account(&self, account: Uuid) -> Arc<Semaphore> {
        let mut accounts = self.accounts();
        if accounts.len() >= FORGET_FROM {
            accounts.retain(|_, places| places.available_permits() < PER_ACCOUNT || Arc::strong_count(places) > 1);
        }
        Arc::clone(accounts.entry(account).or_insert_with(|| Arc::new(Semaphore::new(PER_ACCOUNT))))
    }

    fn accounts(&self) -> MutexGuard<'_, HashMap<Uuid, Arc<Semaphore>>> {
        self.accounts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// So many accounts are noted before those that need not be are forgotten.
const FORGET_FROM: usize = 1024;

/// The room that one answer takes.
struct Room {
    _account: Option<OwnedSemaphorePermit>,
    memory: OwnedSemaphorePermit,
}

impl Room {
    /// Gives back what is not needed for `bytes`.
    fn shrink(&mut self, bytes: usize) {
        let surplus = self.memory.num_permits().saturating_sub(bytes.div_ceil(1024));
        drop(self.memory.split(surplus));
    }
}

/// Who makes a large answer to the request at hand.
pub(super) struct LargeAnswer(HttpRequest);

impl FromRequest for LargeAnswer {
    type Error = ApiError;
    type Future = std::future::Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        std::future::ready(Ok(Self(request.clone())))
    }
}

impl LargeAnswer {
    /// Answers one page of a list of `account`: what `find` finds, as `view` shows it.
    pub(super) async fn page<T, V>(
        self,
        account: Uuid,
        find: impl Future<Output = Result<T, ApiError>>,
        view: impl FnOnce(T) -> V + Send + 'static,
    ) -> Result<HttpResponse, ApiError>
    where
        T: Send + 'static,
        V: Serialize,
    {
        self.of(Some(account), PAGE, find, view).await
    }

    /// The same of up to `size` KiB, and of no account.
    pub(super) async fn sized<T, V>(
        self,
        size: u32,
        find: impl Future<Output = Result<T, ApiError>>,
        view: impl FnOnce(T) -> V + Send + 'static,
    ) -> Result<HttpResponse, ApiError>
    where
        T: Send + 'static,
        V: Serialize,
    {
        self.of(None, size, find, view).await
    }

    async fn of<T, V>(
        self,
        account: Option<Uuid>,
        size: u32,
        find: impl Future<Output = Result<T, ApiError>>,
        view: impl FnOnce(T) -> V + Send + 'static,
    ) -> Result<HttpResponse, ApiError>
    where
        T: Send + 'static,
        V: Serialize,
    {
        let state = self.0.app_data::<Data<AppState>>().expect("the state is part of every application");
        let mut room = state.large.room(account, size).await?;
        let found = find.await?;
        let written = state.large.threads.run(move || serde_json::to_vec(&view(found))).await;
        let bytes = match written {
            Ok(Ok(bytes)) => bytes,
            Ok(Err(error)) => return Err(Error::Internal(format!("an answer cannot be written: {error}")).into()),
            Err(Panicked) => return Err(ApiError::Panicked),
        };
        room.shrink(bytes.len());
        let sending = Sending::on(&self.0);
        let body = Pieces { rest: bytes.into(), may_go_on: true, _room: room, _sending: sending };
        Ok(HttpResponse::Ok().insert_header(ContentType::json()).body(body))
    }
}

/// An answer that is handed on piece by piece. Between two pieces others are served.
struct Pieces {
    rest: Bytes,
    may_go_on: bool,
    _room: Room,
    _sending: Sending,
}

impl MessageBody for Pieces {
    type Error = std::convert::Infallible;

    fn size(&self) -> BodySize {
        BodySize::Sized(self.rest.len() as u64)
    }

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        if self.rest.is_empty() {
            return Poll::Ready(None);
        }
        if !mem::replace(&mut self.may_go_on, false) {
            self.may_go_on = true;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let length = self.rest.len().min(PIECE);
        Poll::Ready(Some(Ok(self.rest.split_to(length))))
    }
}
