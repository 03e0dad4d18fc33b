//! The documentation in the binary: the description of the API for programs, a reference page, guides, and an index of the guides
//! for language models (<https://llmstxt.org>).
//!
//! Nothing is loaded from elsewhere, so it works without the Internet, and its policy allows no inline script.

mod guides;
mod html;

use std::sync::LazyLock;

use actix_web::{
    HttpResponse,
    http::header::{self, HeaderValue},
    web::Path,
};
use askama::Template;

use self::guides::GUIDES;
use super::error::ApiError;

const DESCRIPTION: &str = include_str!("../../../docs/openapi.json");
const OLDER_DESCRIPTION: &str = include_str!("../../../docs/openapi-3.0.json");
const STYLE: &str = include_str!("docs.css");
/// RapiDoc 9.3.8, as it is published on npm.
const RAPIDOC: &str = include_str!("rapidoc/rapidoc-min.js");

/// What a page may load. RapiDoc sets styles by script, which counts as inline.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
    connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// `GET /api/openapi.json`.
pub(super) async fn description() -> HttpResponse {
    file("application/json", DESCRIPTION)
}

/// `GET /api/openapi-3.0.json`, for generators that do not know 3.1.
pub(super) async fn older_description() -> HttpResponse {
    file("application/json", OLDER_DESCRIPTION)
}

#[derive(Template)]
#[template(path = "docs/reference.html")]
struct Reference;

/// `GET /api/docs`.
pub(super) async fn reference() -> Result<HttpResponse, ApiError> {
    page(&Reference)
}

/// The text of each guide as HTML, made once: nobody needs a credential to ask for it.
static TEXTS: LazyLock<Vec<String>> = LazyLock::new(|| GUIDES.iter().map(|guide| html::of(guide.text)).collect());

#[derive(Template)]
#[template(path = "docs/guide.html")]
struct Guide {
    name: &'static str,
    title: &'static str,
    guides: &'static [guides::Guide],
    /// HTML.
    text: &'static str,
}

/// `GET /api/docs/{name}`: a guide as a page or, with the end `.md`, as Markdown. And the files of the pages.
pub(super) async fn show(name: Path<String>) -> Result<HttpResponse, ApiError> {
    match name.as_str() {
        "rapidoc.js" => return Ok(file("text/javascript; charset=utf-8", RAPIDOC)),
        "docs.css" => return Ok(file("text/css; charset=utf-8", STYLE)),
        _ => {}
    }
    let (name, is_markdown) = name.strip_suffix(".md").map_or((name.as_str(), false), |name| (name, true));
    let at = GUIDES.iter().position(|guide| guide.name == name).ok_or(ApiError::UnknownRoute)?;
    let guide = &GUIDES[at];
    match is_markdown {
        true => Ok(file("text/markdown; charset=utf-8", guide.text)),
        false => page(&Guide { name: guide.name, title: guide.title, guides: GUIDES, text: &TEXTS[at] }),
    }
}

/// `GET /llms.txt`.
pub(super) async fn index_for_models() -> HttpResponse {
    let mut text = "# patd\n\n> The personal access token daemon: it keeps users, sessions and hashed API tokens, and says what a \
                    token may do.\n\n## Guides\n\n"
        .to_owned();
    for guide in GUIDES {
        text += &format!("- [{}](/api/docs/{}.md): {}\n", guide.title, guide.name, guide.summary);
    }
    text += "\n## Reference\n\n- [OpenAPI 3.1](/api/openapi.json): every operation with its errors\n\
             - [OpenAPI 3.0](/api/openapi-3.0.json): the same for older generators\n";
    HttpResponse::Ok().insert_header((header::CONTENT_TYPE, "text/plain; charset=utf-8")).body(text)
}

fn file(media_type: &'static str, content: &'static str) -> HttpResponse {
    HttpResponse::Ok().insert_header((header::CONTENT_TYPE, media_type)).body(content)
}

fn page(page: &impl Template) -> Result<HttpResponse, ApiError> {
    let text = page.render().map_err(|error| crate::ops::Error::Internal(error.to_string()))?;
    let mut response = HttpResponse::Ok().insert_header((header::CONTENT_TYPE, "text/html; charset=utf-8")).body(text);
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    Ok(response)
}
