//! Answers the files that pages refer to.

use actix_web::{HttpResponse, http::header, web::Path};

use super::{
    assets::{ICON, SCRIPT, STYLE},
    look::Look,
    page::PageError,
};
use crate::http::error::ApiError;

/// `GET /console/assets/{name}`.
pub(super) async fn show(name: Path<String>) -> Result<HttpResponse, PageError> {
    let path = format!("/console/assets/{name}");
    let asset = [&*STYLE, &*SCRIPT, &*ICON].into_iter().find(|asset| asset.path == path);
    let asset = asset.ok_or(ApiError::UnknownRoute)?;
    Ok(HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, asset.media_type))
        .insert_header((header::CACHE_CONTROL, "public, max-age=31536000, immutable"))
        .body(asset.content))
}

/// `GET /console/logo`. A picture can hold a script, which must not run if somebody opens it as a page.
pub(super) async fn logo(look: Look) -> Result<HttpResponse, PageError> {
    let logo = look.console().logo.as_ref().ok_or(ApiError::UnknownRoute)?;
    Ok(HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, logo.media_type))
        .insert_header((header::CONTENT_SECURITY_POLICY, "default-src 'none'; style-src 'unsafe-inline'; sandbox"))
        .body(logo.content.clone()))
}
