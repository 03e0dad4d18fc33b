//! Which trace a request belongs to, by W3C Trace Context (<https://www.w3.org/TR/trace-context/>).

use std::str;

use actix_web::http::header::{HeaderMap, HeaderName};

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
/// `00-TRACE_ID-PARENT_ID-FLAGS`.
const LENGTH: usize = 55;
/// The version that no header has.
const NO_VERSION: &[u8] = b"ff";

/// The ids of `traceparent`. They are hexadecimal digits, so a log line may have them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TraceContext {
    trace_id: [u8; 32],
    parent_id: [u8; 16],
}

impl TraceContext {
    /// That of a request. `None` if the header is missing, sent twice or not valid, so that a new trace would begin.
    pub(super) fn of(headers: &HeaderMap) -> Option<Self> {
        let mut values = headers.get_all(TRACEPARENT);
        let value = values.next()?;
        if values.next().is_some() {
            return None;
        }
        Self::parse(value.as_bytes())
    }

    fn parse(value: &[u8]) -> Option<Self> {
        let (known, more) = value.split_at_checked(LENGTH)?;
        let [version @ .., b'-'] = known.get(..3)? else { return None };
        let (trace_id, parent_id) = (known.get(3..35)?, known.get(36..52)?);
        let dashes = [known[35], known[52]];
        let flags = &known[53..];
        let is_hex = |part: &[u8]| part.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        let is_valid = [version, trace_id, parent_id, flags].into_iter().all(is_hex)
            && dashes == *b"--"
            && version != NO_VERSION
            // A later version may have more fields behind these. Version 00 has none.
            && (more.is_empty() || version != b"00" && more[0] == b'-')
            && [trace_id, parent_id].into_iter().all(|id| id.iter().any(|digit| *digit != b'0'));
        if !is_valid {
            return None;
        }
        Some(Self { trace_id: trace_id.try_into().ok()?, parent_id: parent_id.try_into().ok()? })
    }

    /// The trace.
    pub(super) fn trace_id(&self) -> &str {
        str::from_utf8(&self.trace_id).unwrap_or_default()
    }

    /// The span of the caller.
    pub(super) fn parent_id(&self) -> &str {
        str::from_utf8(&self.parent_id).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    const PARENT: &str = "00f067aa0ba902b7";

    fn parse(value: &str) -> Option<(String, String)> {
        TraceContext::parse(value.as_bytes()).map(|it| (it.trace_id().to_owned(), it.parent_id().to_owned()))
    }

    #[test]
    fn a_valid_header_names_trace_and_parent() {
        let valid = Some((TRACE.to_owned(), PARENT.to_owned()));
        for value in [
            format!("00-{TRACE}-{PARENT}-01"),
            format!("00-{TRACE}-{PARENT}-00"),
            // A later version may have more.
            format!("01-{TRACE}-{PARENT}-01"),
            format!("cc-{TRACE}-{PARENT}-01-what-the-future-brings"),
        ] {
            assert_eq!(parse(&value), valid, "{value}");
        }
    }

    #[test]
    fn an_invalid_header_is_ignored() {
        let upper = TRACE.to_uppercase();
        let (no_trace, no_parent) = ("0".repeat(32), "0".repeat(16));
        for value in [
            String::new(),
            "00".to_owned(),
            format!("00-{TRACE}-{PARENT}"),
            format!("00-{TRACE}-{PARENT}-0"),
            format!("00-{TRACE}-{PARENT}-01-more"),
            format!("00-{TRACE}-{PARENT}-01-"),
            format!("01-{TRACE}-{PARENT}-01.more"),
            format!("ff-{TRACE}-{PARENT}-01"),
            format!("00-{upper}-{PARENT}-01"),
            format!("00-{no_trace}-{PARENT}-01"),
            format!("00-{TRACE}-{no_parent}-01"),
            format!("00-{TRACE}x{PARENT}-01"),
            format!("00x{TRACE}-{PARENT}-01"),
            format!("0g-{TRACE}-{PARENT}-01"),
            format!("00-{TRACE}-{PARENT}-0g"),
            format!(" 00-{TRACE}-{PARENT}-01"),
            format!("00-{}é-{PARENT}-01", &TRACE[..30]),
        ] {
            assert_eq!(parse(&value), None, "{value}");
        }
    }

    #[test]
    fn a_header_that_is_sent_twice_is_ignored() {
        let (mut headers, value) = (HeaderMap::new(), format!("00-{TRACE}-{PARENT}-01"));
        headers.append(TRACEPARENT, value.parse().unwrap());
        assert!(TraceContext::of(&headers).is_some());
        headers.append(TRACEPARENT, value.parse().unwrap());
        assert_eq!(TraceContext::of(&headers), None);
        assert_eq!(TraceContext::of(&HeaderMap::new()), None);
    }
}
