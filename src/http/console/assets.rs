//! The files that pages refer to. Their names have a part of their hash, so browsers may keep them for a year.

use std::sync::LazyLock;

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
    pub(super) media_type: &'static str,
    pub(super) content: &'static str,
}

impl Asset {
    fn new(name: &str, end: &str, media_type: &'static str, content: &'static str) -> Self {
        let hash = blake3::hash(content.as_bytes()).to_hex();
        Self { path: format!("/console/assets/{name}-{}.{end}", &hash[..16]), media_type, content }
    }
}
