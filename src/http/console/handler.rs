//! The handlers of pages.

use actix_web::{FromRequest, Handler, HttpResponse};
use futures_util::future::LocalBoxFuture;

use super::{
    gate::Gate,
    page::{PageError, Refused},
};
use crate::{http::error::ApiError, ops};

/// A handler of a page. It is called only if [`Gate`] lets the request pass, and its error becomes a page.
#[derive(Clone)]
pub(crate) struct Page<F>(pub(crate) F);

impl<F, Args> Handler<(Gate, Args)> for Page<F>
where
    F: Handler<Args, Output = Result<HttpResponse, PageError>>,
    Args: FromRequest + 'static,
{
    type Output = Result<HttpResponse, Refused>;
    type Future = LocalBoxFuture<'static, Self::Output>;

    fn call(&self, (Gate(look), arguments): (Gate, Args)) -> Self::Future {
        let handled = self.0.call(arguments);
        Box::pin(async move {
            let answered = handled.await;
            // Who is told that what they want to end is gone must not see another node accept it.
            if let Err(PageError::Api(ApiError::Ops(ops::Error::NotFound))) = &answered
                && let Err(error) = look.state.ops.store.wait_until_known().await
            {
                return Err(look.refused(error));
            }
            answered.map_err(|error| look.refused(error))
        })
    }
}
