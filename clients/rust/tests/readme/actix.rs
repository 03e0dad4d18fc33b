use actix_web::web::{ReqData, ServiceConfig, resource};
use patd_client::{Accepted, Client, actix::Tokens};

pub fn actix_app(patd: Client) -> impl FnOnce(&mut ServiceConfig) {
    move |app| {
        app.service(resource("/calls").wrap(Tokens::new(patd, ["calls:read"])).get(list_calls));
    }
}

async fn list_calls(accepted: ReqData<Accepted>) -> String {
    accepted.into_inner().owner.map(|owner| owner.id).unwrap_or_default()
}
