//! What happens to every request and answer, whatever its route: connections, limits, headers and log lines.

pub(crate) mod access_log;
pub(crate) mod body_drain;
pub(crate) mod connections;
pub(crate) mod cors;
pub(crate) mod envelope;
pub(crate) mod large_answer;
pub(crate) mod log_subject;
pub(crate) mod principal_summary;
mod raw_answer;
pub(crate) mod request_id;
mod trace_context;
