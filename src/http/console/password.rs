//! The page on which a person sets a password, with the link from an administrator.

use actix_web::{HttpRequest, HttpResponse, http::StatusCode};
use askama::Template;
use zeroize::Zeroizing;

use super::{
    errors::FormErrors,
    fields::{ApiFields, Fields},
    layout::Layout,
    look::Look,
    page::{PageError, see, show as show_page},
};
use crate::{
    domain::account::Password,
    http::input::{body::Body, request_source::Source},
    ops::password_links,
};

#[derive(Template)]
#[template(path = "set_password.html")]
struct SetPasswordPage {
    layout: Layout,
    errors: FormErrors,
    /// The secret of the link.
    code: Zeroizing<String>,
    min_length: String,
}

fn form(look: &Look, status: StatusCode, fields: &Fields, errors: FormErrors) -> HttpResponse {
    let layout = Layout::of_nobody(look, &look.texts.say("set-password-title"));
    let code = Zeroizing::new(fields.text("token").to_owned());
    let min_length = look.texts.count("password-length", look.state.ops.min_password_length());
    show_page(status, &SetPasswordPage { layout, errors, code, min_length })
}

/// `GET /console/set-password`. A link has the secret in `?token=`.
pub(super) async fn show(request: HttpRequest, look: Look) -> Result<HttpResponse, PageError> {
    Ok(form(&look, StatusCode::OK, &Fields::of_query(request.query_string()), FormErrors::default()))
}

/// `POST /console/set-password`.
pub(super) async fn set(look: Look, source: Source, body: Body) -> Result<HttpResponse, PageError> {
    let fields = Fields::new(body.pairs().await?);
    match try_set(&look, source, &fields).await {
        Ok(()) => Ok(see("/console/sign-in?done=password-set")),
        Err(error) => {
            let (status, errors) = FormErrors::of(&look, error)?;
            Ok(form(&look, status, &fields, errors))
        }
    }
}

async fn try_set(look: &Look, source: Source, fields: &Fields) -> Result<(), PageError> {
    let mut form = ApiFields::default().text("password", fields.text("password")).form(&["password"]);
    let password = form.required("password", Password::parse);
    let password = form.finish(password)?;
    let (client, code) = (source.address, fields.text("token").trim());
    Ok(password_links::set_password(&look.state.ops, client, code, password, source.anonymous()).await?)
}
