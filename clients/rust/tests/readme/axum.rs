use axum::{Extension, Router, routing::get};
use patd_client::{Accepted, Client, tower::TokensLayer};

pub fn axum_app(patd: Client) -> Router {
    Router::new().route("/calls", get(list_calls)).layer(TokensLayer::new(patd, ["calls:read"]))
}

async fn list_calls(Extension(accepted): Extension<Accepted>) -> String {
    accepted.owner.map(|owner| owner.id).unwrap_or_default()
}
