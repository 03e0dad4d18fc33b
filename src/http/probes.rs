//! Which probes of health get a line in the log: they come every few seconds, and say the same for months.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use actix_web::http::{Method, StatusCode};

/// The paths that are probed.
pub(super) const PATHS: [&str; 3] = ["/livez", "/readyz", "/healthz"];

/// How often a line says that a probe is still answered as before.
const AGAIN_AFTER: Duration = Duration::from_secs(60);

/// What the probes of each path were answered last.
#[derive(Default)]
pub(super) struct Probes(Mutex<[Option<(StatusCode, Instant)>; PATHS.len()]>);

impl Probes {
    /// Whether the answer to a request gets a line: any but a probe's, a probe's that differs from the one before, and one
    /// of them now and then.
    pub(super) fn are_logged(&self, method: &Method, route: Option<&str>, status: StatusCode) -> bool {
        let is_probe =
            [Method::GET, Method::HEAD].contains(method) && (status.is_success() || status.is_server_error());
        let path = route.filter(|_| is_probe).and_then(|route| PATHS.iter().position(|path| *path == route));
        let Some(path) = path else { return true };
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_old_news = told[path].is_some_and(|(said, at)| said == status && at.elapsed() < AGAIN_AFTER);
        if !is_old_news {
            told[path] = Some((status, Instant::now()));
        }
        !is_old_news
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_probe_is_logged_when_its_answer_changes() {
        let probes = Probes::default();
        let (ok, down) = (StatusCode::OK, StatusCode::SERVICE_UNAVAILABLE);
        let logged = |path, status| probes.are_logged(&Method::GET, Some(path), status);
        assert!(logged("/readyz", ok) && !logged("/readyz", ok));
        assert!(logged("/livez", ok), "each path by itself");
        assert!(logged("/readyz", down) && !logged("/readyz", down) && logged("/readyz", ok));
        assert!(logged("/api/user", ok) && logged("/api/user", ok), "all others always");
        let refused = StatusCode::METHOD_NOT_ALLOWED;
        assert!((0..3).all(|_| probes.are_logged(&Method::POST, Some("/livez"), refused)));
        assert!((0..3).all(|_| probes.are_logged(&Method::GET, None, ok)));
    }
}
