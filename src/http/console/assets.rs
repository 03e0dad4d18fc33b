//! The files that pages refer to. Their names have a part of their hash, so browsers may keep them for a year.

use std::sync::LazyLock;

use actix_web::{
    HttpResponse,
    http::header,
    web::{self, Path},
};

use super::{look::Look, page::PageError};
use crate::http::error::ApiError;

pub(super) static STYLE: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("console", "css", "text/css; charset=utf-8", include_str!("assets/console.css")));
pub(super) static SCRIPT: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("console", "js", "text/javascript; charset=utf-8", include_str!("assets/console.js")));
pub(super) static ICON: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("patd", "svg", "image/svg+xml", include_str!("assets/patd.svg")));

/// The path of the configured logo. Its content can change with a restart, so it has no hash and is not kept.
pub(super) const LOGO: &str = "/console/logo";

/// A file that is compiled in.
pub(super) struct Asset {
    pub(super) path: String,
    media_type: &'static str,
    content: &'static str,
}

impl Asset {
    fn new(name: &str, end: &str, media_type: &'static str, content: &'static str) -> Self {
        let hash = blake3::hash(content.as_bytes()).to_hex();
        Self { path: format!("/console/assets/{name}-{}.{end}", &hash[..16]), media_type, content }
    }
}

/// A picture from the disk.
pub(crate) struct Picture {
    media_type: &'static str,
    content: web::Bytes,
}

impl Picture {
    pub(super) fn new(media_type: &'static str, content: Vec<u8>) -> Self {
        Self { media_type, content: content.into() }
    }
}

/// `GET /console/assets/{name}`.
pub(in crate::http) async fn show(name: Path<String>) -> Result<HttpResponse, PageError> {
    let path = format!("/console/assets/{name}");
    let asset = [&*STYLE, &*SCRIPT, &*ICON].into_iter().find(|asset| asset.path == path);
    let asset = asset.ok_or(ApiError::UnknownRoute)?;
    Ok(HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, asset.media_type))
        .insert_header((header::CACHE_CONTROL, "public, max-age=31536000, immutable"))
        .body(asset.content))
}

/// `GET /console/logo`. A picture can hold a script, which must not run if somebody opens it as a page.
pub(in crate::http) async fn logo(look: Look) -> Result<HttpResponse, PageError> {
    let logo = look.console().logo.as_ref().ok_or(ApiError::UnknownRoute)?;
    Ok(HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, logo.media_type))
        .insert_header((header::CONTENT_SECURITY_POLICY, "default-src 'none'; style-src 'unsafe-inline'; sandbox"))
        .body(logo.content.clone()))
}
