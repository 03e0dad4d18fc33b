//! What an application answers to its own client: the same for every framework.

use std::{net::IpAddr, sync::Arc};

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use serde_json::{Value, json};

use crate::{Accepted, Client, Refused, Verdict};

/// What a middleware needs to know.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    pub(crate) client: Client,
    pub(crate) abilities: Arc<[String]>,
    pub(crate) accept_sessions: bool,
}

/// A refusal in the form of patd's errors.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) header: Option<(HeaderName, HeaderValue)>,
    pub(crate) body: String,
}

impl Answer {
    fn new(status: StatusCode, code: &str, message: &str) -> Self {
        Self { status, header: None, body: json!({"message": message, "code": code}).to_string() }
    }

    fn with(self, name: HeaderName, value: &'static str) -> Self {
        Self { header: Some((name, HeaderValue::from_static(value))), ..self }
    }
}

impl Rule {
    pub(crate) fn new<A: Into<String>>(client: Client, abilities: impl IntoIterator<Item = A>) -> Self {
        Self { client, abilities: abilities.into_iter().map(Into::into).collect(), accept_sessions: false }
    }

    /// Decides about the token in the headers: whose it is, or what to answer.
    pub(crate) async fn decide(&self, headers: HeaderMap, address: Option<IpAddr>) -> Result<Accepted, Answer> {
        let Some(token) = bearer_token(&headers) else {
            let answer = Answer::new(
                StatusCode::UNAUTHORIZED,
                "unauthenticated",
                "Send a token as Authorization: Bearer TOKEN.",
            );
            return Err(answer.with(header::WWW_AUTHENTICATE, "Bearer"));
        };
        let abilities: Vec<&str> = self.abilities.iter().map(String::as_str).collect();
        match self.client.verify(token, &abilities, address).await {
            Ok(Verdict::Accepted(accepted)) if accepted.token.r#type == "session" && !self.accept_sessions => {
                Err(Answer::new(StatusCode::FORBIDDEN, "wrong_kind", "A session is not accepted here. Use a token."))
            }
            Ok(Verdict::Accepted(accepted)) => Ok(accepted),
            Ok(Verdict::Refused(refused)) => Err(refusal(&refused)),
            Err(error) => {
                log::warn!("a token could not be checked: {error}");
                let message = "The token cannot be checked now. Try again.";
                Err(Answer::new(StatusCode::SERVICE_UNAVAILABLE, "undecided", message).with(header::RETRY_AFTER, "1"))
            }
        }
    }
}

fn refusal(refused: &Refused) -> Answer {
    match &*refused.code {
        "missing_ability" => missing_ability(&refused.required),
        "rate_limited" => {
            let message = "The token reached its limit of requests per minute.";
            Answer::new(StatusCode::TOO_MANY_REQUESTS, "too_many_attempts", message)
        }
        "quota_exceeded" => {
            let message = "The token has been used as often as its quota allows.";
            Answer::new(StatusCode::TOO_MANY_REQUESTS, "quota_exceeded", message)
        }
        // The same for each reason, so that a refusal tells a thief nothing.
        _ => Answer::new(StatusCode::UNAUTHORIZED, "unauthenticated", "The token is not accepted.")
            .with(header::WWW_AUTHENTICATE, r#"Bearer error="invalid_token""#),
    }
}

fn missing_ability(required: &[String]) -> Answer {
    let message = "The token lacks an ability that is needed here.";
    let body: Value = json!({"message": message, "code": "missing_ability", "required": required});
    let scope = if required.is_empty() { String::new() } else { format!(r#", scope="{}""#, required.join(" ")) };
    let challenge = HeaderValue::try_from(format!(r#"Bearer error="insufficient_scope"{scope}"#));
    let header = challenge.ok().map(|challenge| (header::WWW_AUTHENTICATE, challenge));
    Answer { status: StatusCode::FORBIDDEN, header, body: body.to_string() }
}

/// The token, if the header is there once.
fn bearer_token(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let (value, None) = (values.next()?, values.next()) else { return None };
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    let token = token.trim_matches(' ');
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}
