//! The log line of a request. It has the pattern of the route and not the path, because a path can contain secrets.

use std::{
    borrow::Cow,
    cell::Cell,
    time::{Duration, Instant},
};

use actix_web::{
    dev::ServiceResponse,
    http::{Method, StatusCode},
};
use log::{
    Level, Record,
    kv::{self, Key, Value, VisitSource},
};

use super::{
    log_subject::LogSubject, principal_summary::PrincipalSummary, request_id::RequestId, trace_context::TraceContext,
};
use crate::http::state::{AppState, request_counts::KnownMethod};

/// What the log line of a request needs, from its start on.
pub(super) struct AccessLog {
    pub(super) id: RequestId,
    /// `None` for a word that is no usual method: it could be a token.
    pub(super) method: Option<KnownMethod>,
    /// The trace that the request belongs to. Of a check, it is read only if the check is logged.
    pub(super) trace: Option<Box<TraceContext>>,
    started: Instant,
    elapsed: Cell<Option<Duration>>,
}

/// The forwarded request of a check, as its log line shows it.
pub(crate) struct LoggedCheck<'r> {
    pub(crate) policy: &'r str,
    pub(crate) method: &'r str,
    /// The path and query, from which the line takes what it may show.
    pub(crate) target: &'r str,
    pub(crate) client: String,
}

impl AccessLog {
    pub(super) fn start(method: Option<&Method>) -> Self {
        Self {
            id: RequestId::new(),
            method: method.and_then(KnownMethod::of),
            trace: None,
            started: Instant::now(),
            elapsed: Cell::new(None),
        }
    }

    /// The line of a request that a handler answered.
    pub(super) fn write_answered<B>(
        &self,
        response: &ServiceResponse<B>,
        route: Option<&str>,
        principal: Option<PrincipalSummary>,
        state: &AppState,
    ) {
        let (request, status) = (response.request(), response.status());
        let reason = response.response().error().map(ToString::to_string);
        let reason = reason.as_deref();
        if status == StatusCode::TOO_MANY_REQUESTS {
            self.write_with_subject(status, route, LogSubject::new(request, principal), reason);
        } else if state.probes.is_logged(request.method(), route, status) {
            self.write(status, route, principal, reason);
        }
    }

    /// The line of a request that was throttled or cannot be read. It also has the client and the account, so that an
    /// administrator sees who sends such requests.
    pub(super) fn write_with_subject(
        &self,
        status: StatusCode,
        route: Option<&str>,
        subject: LogSubject,
        reason: Option<&str>,
    ) {
        let more = [("client", &*subject.client), ("account", subject.account.as_deref().unwrap_or("-"))];
        self.line(status, route, subject.principal, reason).write(&more);
    }

    /// The line of a check by a proxy. It also has the forwarded request, because the proxy may not log it.
    pub(super) fn write_check(
        &self,
        status: StatusCode,
        route: &str,
        check: Option<LoggedCheck<'_>>,
        principal: Option<PrincipalSummary>,
        reason: Option<&str>,
    ) {
        let line = self.line(status, Some(route), principal, reason);
        match check {
            Some(LoggedCheck { policy, method, target, client }) => {
                let path = logged_path(target);
                line.write(&[("policy", policy), ("asked", method), ("path", &path), ("client", &client)]);
            }
            None => line.write(&[]),
        }
    }

    pub(super) fn write(
        &self,
        status: StatusCode,
        route: Option<&str>,
        principal: Option<PrincipalSummary>,
        reason: Option<&str>,
    ) {
        self.line(status, route, principal, reason).write(&[]);
    }

    fn line<'l>(
        &'l self,
        status: StatusCode,
        route: Option<&'l str>,
        principal: Option<PrincipalSummary>,
        reason: Option<&'l str>,
    ) -> Line<'l> {
        Line { log: self, status, route, principal, reason, more: &[] }
    }

    /// The time from the start to the first call, which is when the answer is ready.
    pub(super) fn elapsed(&self) -> Duration {
        let elapsed = self.elapsed.get().unwrap_or_else(|| self.started.elapsed());
        self.elapsed.set(Some(elapsed));
        elapsed
    }

    fn elapsed_us(&self) -> u64 {
        u64::try_from(self.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    fn method(&self) -> &'static str {
        self.method.map_or("-", KnownMethod::as_str)
    }
}

/// A line, whose pairs are visited when it is written.
struct Line<'l> {
    log: &'l AccessLog,
    status: StatusCode,
    route: Option<&'l str>,
    principal: Option<PrincipalSummary>,
    reason: Option<&'l str>,
    /// The last pairs.
    more: &'l [(&'static str, &'l str)],
}

impl Line<'_> {
    fn write(&self, more: &[(&'static str, &str)]) {
        const TARGET: &str = "patd::request";
        let level = level_of(self.status);
        if log::log_enabled!(target: TARGET, level) {
            let pairs = Line { more, ..*self };
            let mut record = Record::builder();
            record.target(TARGET).level(level).key_values(&pairs);
            log::logger().log(&record.args(format_args!("request")).build());
        }
    }
}

impl kv::Source for Line<'_> {
    fn visit<'kvs>(&'kvs self, visitor: &mut dyn VisitSource<'kvs>) -> Result<(), kv::Error> {
        let mut pair = |key: &'kvs str, value: Value<'kvs>| visitor.visit_pair(Key::from_str(key), value);
        pair("method", self.log.method().into())?;
        pair("route", self.route.unwrap_or("-").into())?;
        pair("status", self.status.as_u16().into())?;
        pair("elapsed_us", self.log.elapsed_us().into())?;
        pair("request_id", self.log.id.as_str().into())?;
        if let Some(trace) = &self.log.trace {
            pair("trace_id", trace.trace_id().into())?;
            pair("parent_id", trace.parent_id().into())?;
        }
        match &self.principal {
            Some(principal) => pair("principal", Value::from_display(principal))?,
            None => pair("principal", "-".into())?,
        }
        pair("reason", self.reason.unwrap_or("-").into())?;
        self.more.iter().try_for_each(|(key, value)| pair(key, (*value).into()))
    }
}

fn level_of(status: StatusCode) -> Level {
    if status.is_server_error() { Level::Error } else { Level::Info }
}

/// The most bytes of a path that a log line has.
const MAX_PATH: usize = 256;
/// This many letters and digits in a row could be a secret. An id has hyphens in between.
const COULD_BE_SECRET: usize = 33;

/// The path of `target` without its query. Parts that could be a secret are hidden.
fn logged_path(target: &str) -> Cow<'_, str> {
    let path = target.split(['?', '#']).next().unwrap_or_default();
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '%');
    let has_secret = path.split(|c| !is_part(c)).any(|run| run.len() >= COULD_BE_SECRET);
    if !has_secret && path.len() <= MAX_PATH {
        return Cow::Borrowed(path);
    }
    let mut logged = String::new();
    for piece in path.split_inclusive(|c| !is_part(c)) {
        let run = piece.trim_end_matches(|c| !is_part(c));
        logged += if run.len() >= COULD_BE_SECRET { "[hidden]" } else { run };
        logged += &piece[run.len()..];
    }
    if let Some((end, _)) = logged.char_indices().find(|(at, c)| at + c.len_utf8() > MAX_PATH) {
        logged.truncate(end);
        logged += "...";
    }
    Cow::Owned(logged)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_logged_path_has_no_query_and_no_secret() {
        let secret = format!("pat_{}{}", "A".repeat(40), "0".repeat(8));
        let id = "01a21b2f-4b1c-7749-9917-7eb7d4b53ac2";
        for (target, logged) in [
            ("/calls/1?token=x", "/calls/1".to_owned()),
            ("/calls/1#token", "/calls/1".to_owned()),
            (&format!("/calls/{id}/notes"), format!("/calls/{id}/notes")),
            (&format!("/hooks/{secret}/x"), "/hooks/[hidden]/x".to_owned()),
            (&format!("/hooks/12|{secret}"), "/hooks/12|[hidden]".to_owned()),
            (&format!("/hooks/{}", secret.replace('A', "%41")), "/hooks/[hidden]".to_owned()),
            (&format!("/{}", "é/".repeat(200)), format!("/{}...", "é/".repeat(85))),
        ] {
            assert_eq!(logged_path(target), logged, "{target}");
        }
    }
}
