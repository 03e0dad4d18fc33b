//! Chunked bodies that nobody reads to their end.
//!
//! Once the reader of a chunked body is gone, the server reads on and throws away what comes, for as long as the client
//! sends, before it takes the next request. Holding the reader until the answer is out makes it close the connection
//! instead, as it does where a length was declared.

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

/// The reader of a request's body, held beside the handler that reads it.
#[derive(Clone)]
pub(super) struct Held(Rc<RefCell<Payload>>);

impl Held {
    /// Takes hold of the body, if it is chunked.
    pub(super) fn of(request: &mut Request) -> Option<Self> {
        let is_chunked =
            !matches!(request.payload(), Payload::None) && request.headers().contains_key(TRANSFER_ENCODING);
        is_chunked.then(|| {
            let held = Self(Rc::new(RefCell::new(request.take_payload())));
            *request.payload() = Payload::Stream { payload: Box::pin(held.clone()) };
            held
        })
    }
}

impl Stream for Held {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Pin::new(&mut *self.0.borrow_mut()).poll_next(cx)
    }
}

/// An answer's body that drops what it holds when all of it was taken to be sent.
pub(super) struct Outlasting<B, H> {
    body: Pin<Box<B>>,
    _held: H,
}

impl<B, H> Outlasting<B, H> {
    pub(super) fn new(body: B, held: H) -> Self {
        Self { body: Box::pin(body), _held: held }
    }
}

impl<B: MessageBody, H: Unpin> MessageBody for Outlasting<B, H>
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
