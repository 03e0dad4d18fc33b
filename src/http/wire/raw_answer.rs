//! Answers that are written to the socket directly, because the framework gave up on the connection.

use super::{access_log::AccessLog, log_subject::LogSubject};
use crate::http::{
    error::ApiError,
    headers,
    state::{AppState, request_counts::Route},
};
use actix_web::{ResponseError, body::MessageBody};

/// The whole answer for `error`, after which the connection is closed. It has an id and a log line, as every answer
/// has.
pub(super) fn raw_answer(state: &AppState, error: &ApiError, peer: String) -> Vec<u8> {
    let log = AccessLog::start(None);
    let mut response = error.error_response();
    headers::add_common(response.headers_mut(), log.id.header_value());
    let status = response.status();
    state.request_counts.count(Route::NONE, None, status, log.elapsed());
    let subject = LogSubject { principal: None, client: peer, account: None };
    log.write_with_subject(status, None, subject, Some(&error.to_string()));
    let mut answer = format!("HTTP/1.1 {status}\r\nconnection: close\r\n").into_bytes();
    for (name, value) in response.headers() {
        answer.extend([name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
    }
    let body = response.into_body().try_into_bytes().unwrap_or_default();
    answer.extend(format!("content-length: {}\r\n\r\n", body.len()).into_bytes());
    answer.extend(body);
    answer
}
