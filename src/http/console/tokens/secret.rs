//! The page that shows the secret of a new token, once.

use actix_web::{HttpResponse, body::BoxBody, http::StatusCode};
use askama::Template;
use zeroize::Zeroizing;

use super::{place::Place, status::Expires};
use crate::{
    domain::token::IssuedToken,
    http::console::{layout::Layout, page::show, person::Person},
    ops::state::endings::Ending,
};

#[derive(Template)]
#[template(path = "secret.html")]
struct SecretPage {
    layout: Layout,
    name: String,
    secret: Zeroizing<String>,
    abilities: Vec<String>,
    expires: Expires,
    /// The address of this server.
    url: String,
    /// When the token that it replaces ends. Empty if it replaces none.
    old_ends: String,
    /// Where its page is, and the list with it.
    page: String,
    list: String,
}

/// Shows the secret of `issued`, which was made at `place`.
pub(in crate::http::console) fn page(
    person: &Person,
    issued: &IssuedToken,
    old_ends: String,
    place: &Place,
) -> HttpResponse {
    let texts = person.look.texts;
    let token = &issued.token;
    let page = SecretPage {
        layout: Layout::of(person, &texts.say("secret-title")),
        name: token.name.to_string(),
        secret: Zeroizing::new(issued.plaintext.expose_unnumbered().to_owned()),
        abilities: token.abilities.iter().map(ToString::to_string).collect(),
        expires: Expires::of(texts, token, person.ops().clock.now()),
        url: person.look.url.clone(),
        old_ends,
        page: place.page_of(token.id),
        list: place.list(),
    };
    show(StatusCode::CREATED, &page)
}

/// The answer to a rotation. It counts as answered when the page was sent.
pub(super) fn keep_until_sent(response: HttpResponse, ending: Ending) -> HttpResponse {
    use crate::http::wire::body_drain::KeepUntilSent;
    response.map_body(|_, body| BoxBody::new(KeepUntilSent::new(body, ending)))
}
