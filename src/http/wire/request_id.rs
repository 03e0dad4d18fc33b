//! The identifier of a request, which its answer, its log line and its audit event carry.

use std::time::SystemTime;

use actix_web::http::header::HeaderValue;
use uuid::{Uuid, fmt::Hyphenated};

/// A UUIDv7 in its hyphenated form.
#[derive(Clone, Copy)]
pub(crate) struct RequestId([u8; Hyphenated::LENGTH]);

impl RequestId {
    pub(super) fn new() -> Self {
        // `Uuid::now_v7` takes a lock for a counter that orders ids of one millisecond. These need no order.
        let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let milliseconds =
            since_epoch.as_secs().saturating_mul(1000).saturating_add(since_epoch.subsec_millis().into());
        let [random @ .., _, _, _, _, _, _] = Uuid::new_v4().into_bytes();
        let id = uuid::Builder::from_unix_timestamp_millis(milliseconds, &random).into_uuid();
        let mut text = [0; Hyphenated::LENGTH];
        id.hyphenated().encode_lower(&mut text);
        Self(text)
    }

    pub(crate) fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    pub(super) fn header_value(&self) -> HeaderValue {
        HeaderValue::from_bytes(&self.0).expect("digits and hyphens are valid in a header")
    }
}
