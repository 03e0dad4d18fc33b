//! Which health probes get a line in the log. They come every few seconds, and their answers rarely change.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use actix_web::http::{Method, StatusCode};

/// The paths of the probes.
const PATHS: [&str; 3] = ["/livez", "/readyz", "/healthz"];

/// How often an unchanged answer is logged.
const REPEAT_AFTER: Duration = Duration::from_secs(60);

/// The last logged answer of each path.
#[derive(Default)]
pub(crate) struct Probes(Mutex<[Option<(StatusCode, Instant)>; PATHS.len()]>);

impl Probes {
    /// Whether the answer to a request gets a line. The answer to a probe does if it differs from the last one, or if
    /// the last line is old; every other answer does.
    pub(crate) fn is_logged(&self, method: &Method, route: Option<&str>, status: StatusCode) -> bool {
        let is_probe =
            [Method::GET, Method::HEAD].contains(method) && (status.is_success() || status.is_server_error());
        let path = route.filter(|_| is_probe).and_then(|route| PATHS.iter().position(|path| *path == route));
        let Some(path) = path else { return true };
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_repeated = last[path].is_some_and(|(logged, at)| logged == status && at.elapsed() < REPEAT_AFTER);
        if !is_repeated {
            last[path] = Some((status, Instant::now()));
        }
        !is_repeated
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_probe_is_logged_when_its_answer_changes() {
        let probes = Probes::default();
        let (ok, down) = (StatusCode::OK, StatusCode::SERVICE_UNAVAILABLE);
        let logged = |path, status| probes.is_logged(&Method::GET, Some(path), status);
        assert!(logged("/readyz", ok) && !logged("/readyz", ok));
        assert!(logged("/livez", ok), "each path on its own");
        assert!(logged("/readyz", down) && !logged("/readyz", down) && logged("/readyz", ok));
        assert!(logged("/api/user", ok) && logged("/api/user", ok), "every other answer is logged");
        let refused = StatusCode::METHOD_NOT_ALLOWED;
        assert!((0..3).all(|_| probes.is_logged(&Method::POST, Some("/livez"), refused)));
        assert!((0..3).all(|_| probes.is_logged(&Method::GET, None, ok)));
    }
}
