//! Large answers: their memory is limited, they are serialized on threads of their own, and a connection gets them in
//! chunks.
//!
//! The threads that serve connections also answer the checks of proxies. Serializing a page of 256 KiB takes as long as
//! hundreds of checks, and a client that does not read its answer keeps it in memory.

use std::{
    io, mem,
    pin::Pin,
    task::{Context, Poll},
    thread,
};

use actix_web::{
    FromRequest, HttpRequest, HttpResponse,
    body::{BodySize, MessageBody},
    dev::Payload,
    http::header::ContentType,
    web::Bytes,
};
use serde::Serialize;
use uuid::Uuid;

use super::connections::connection::Sending;
use crate::{
    domain::page,
    http::{
        error::ApiError,
        state::{answer_memory::ReservedMemory, current::State},
    },
    ops::Error,
    threads::Panicked,
};

/// What a page may take, in KiB: its items and the braces around them.
const PAGE: u32 = (page::MOST_BYTES / 1024) as u32 + 1;
/// How many bytes a connection gets at once.
const CHUNK: usize = 16 * 1024;

/// Makes a large answer to the request that it is extracted from.
pub(crate) struct LargeAnswer(HttpRequest);

impl FromRequest for LargeAnswer {
    type Error = ApiError;
    type Future = std::future::Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        std::future::ready(Ok(Self(request.clone())))
    }
}

impl LargeAnswer {
    /// Answers one page of a list of `account`: runs `find` and serializes the `view` of its result.
    pub(crate) async fn page<T, V>(
        self,
        account: Uuid,
        find: impl Future<Output = Result<T, ApiError>>,
        view: impl FnOnce(T) -> V + Send + 'static,
    ) -> Result<HttpResponse, ApiError>
    where
        T: Send + 'static,
        V: Serialize,
    {
        self.build(Some(account), PAGE, find, view).await
    }

    /// An answer of up to `size` KiB that counts for no account.
    pub(crate) async fn sized<T, V>(
        self,
        size: u32,
        find: impl Future<Output = Result<T, ApiError>>,
        view: impl FnOnce(T) -> V + Send + 'static,
    ) -> Result<HttpResponse, ApiError>
    where
        T: Send + 'static,
        V: Serialize,
    {
        self.build(None, size, find, view).await
    }

    async fn build<T, V>(
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
        let state = State::of(&self.0);
        let mut memory = state.answer_memory.reserve(account, size).await?;
        let found = find.await?;
        let serialized = state.answer_memory.run(move || serialize(&view(found))).await;
        let bytes = match serialized {
            Ok(Ok(bytes)) => bytes,
            Ok(Err(error)) => return Err(Error::Internal(format!("an answer cannot be serialized: {error}")).into()),
            Err(Panicked) => return Err(ApiError::Panicked),
        };
        memory.shrink(bytes.len());
        let sending = Sending::on(&self.0);
        let body = Chunks { unsent: bytes.into(), may_send: true, _memory: memory, _sending: sending };
        Ok(HttpResponse::Ok().insert_header(ContentType::json()).body(body))
    }
}

/// Serializes a view. After each chunk, threads that answer checks get the core, which they otherwise get only when the
/// scheduler preempts this thread.
fn serialize(view: &impl Serialize) -> serde_json::Result<Vec<u8>> {
    struct Yielding {
        bytes: Vec<u8>,
        yield_at: usize,
    }

    impl io::Write for Yielding {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.bytes.extend_from_slice(bytes);
            if self.bytes.len() >= self.yield_at {
                self.yield_at = self.bytes.len() + CHUNK;
                thread::yield_now();
            }
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    let mut writer = Yielding { bytes: Vec::new(), yield_at: CHUNK };
    serde_json::to_writer(&mut writer, view)?;
    Ok(writer.bytes)
}

/// A body that is sent in chunks. Between two chunks the thread serves other connections.
struct Chunks {
    unsent: Bytes,
    may_send: bool,
    _memory: ReservedMemory,
    _sending: Sending,
}

impl MessageBody for Chunks {
    type Error = std::convert::Infallible;

    fn size(&self) -> BodySize {
        BodySize::Sized(self.unsent.len() as u64)
    }

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        if self.unsent.is_empty() {
            return Poll::Ready(None);
        }
        if !mem::replace(&mut self.may_send, false) {
            self.may_send = true;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let length = self.unsent.len().min(CHUNK);
        Poll::Ready(Some(Ok(self.unsent.split_to(length))))
    }
}
