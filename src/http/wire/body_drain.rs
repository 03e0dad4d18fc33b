//! Chunked request bodies that a handler does not read to their end.
//!
//! When the reader of a chunked body is dropped, the framework reads and discards what the client sends, without limit,
//! before it takes the next request. If the reader is kept until the answer is sent, the framework closes the
//! connection instead, as it does for a body with a declared length.

use std::{
    cell::RefCell,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
};

use actix_http::Request;
use actix_web::{
    HttpMessage,
    body::{BodySize, MessageBody},
    dev::Payload,
    error::PayloadError,
    http::header::TRANSFER_ENCODING,
    web::Bytes,
};
use futures_util::Stream;

/// A reader of a request's body that the handler and the envelope share.
#[derive(Clone)]
pub(crate) struct SharedBody(Rc<RefCell<Payload>>);

impl SharedBody {
    /// Shares the reader of the body, if the body is chunked.
    pub(crate) fn of_chunked(request: &mut Request) -> Option<Self> {
        let is_chunked =
            !matches!(request.payload(), Payload::None) && request.headers().contains_key(TRANSFER_ENCODING);
        is_chunked.then(|| {
            let shared = Self(Rc::new(RefCell::new(request.take_payload())));
            *request.payload() = Payload::Stream { payload: Box::pin(shared.clone()) };
            shared
        })
    }
}

impl Stream for SharedBody {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Pin::new(&mut *self.0.borrow_mut()).poll_next(cx)
    }
}

/// The body of an answer that drops `_kept` when the last of it was taken to be sent.
pub(crate) struct KeepUntilSent<B, K> {
    body: Pin<Box<B>>,
    _kept: K,
}

impl<B, K> KeepUntilSent<B, K> {
    pub(crate) fn new(body: B, kept: K) -> Self {
        Self { body: Box::pin(body), _kept: kept }
    }
}

impl<B: MessageBody, K: Unpin> MessageBody for KeepUntilSent<B, K>
where
    B::Error: Into<Box<dyn std::error::Error>>,
{
    type Error = B::Error;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Poll::Ready(ready!(self.body.as_mut().poll_next(cx)))
    }
}
