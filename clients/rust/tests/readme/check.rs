use std::net::IpAddr;

use patd_client::{Client, Verdict};

pub fn connect() -> Result<Client, patd_client::InvalidOptions> {
    let variable = |name| std::env::var(name).unwrap_or_default();
    Client::builder(variable("PATD_URL"), variable("PATD_INTROSPECT_TOKEN")).build()
}

pub async fn may_read_calls(patd: &Client, token: &str, address: IpAddr) -> u16 {
    match patd.verify(token, &["calls:read"], Some(address)).await {
        Ok(Verdict::Accepted(accepted)) => {
            println!("used by {:?}", accepted.owner.map(|owner| owner.id));
            200
        }
        Ok(Verdict::Refused(refused)) if refused.code == "missing_ability" => 403,
        Ok(Verdict::Refused(_)) => 401,
        Err(_) => 503, // Not 401: the token may be valid.
    }
}
