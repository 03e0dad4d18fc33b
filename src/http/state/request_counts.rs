//! How many requests each route answered, with which status and in which time, for metrics.

use std::{collections::HashMap, sync::OnceLock, time::Duration};

use actix_web::http::{Method, StatusCode};

use crate::measure::{Counter, Distribution, Histogram, PerThread};

/// The most routes.
const MAX_ROUTES: usize = 128;

/// The methods that are told apart. A client can send any word as a method.
pub(crate) const METHODS: [&str; 9] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"];
/// The value of the label for all others, and for requests whose method was not read.
const OTHER: &str = "other";

/// The statuses that are told apart.
const STATUSES: [u16; 22] =
    [200, 201, 202, 204, 303, 304, 400, 401, 403, 404, 405, 408, 409, 410, 413, 415, 422, 429, 431, 500, 503, 507];

/// The place of each status in [`STATUSES`], by its number. The last one is for all others.
const PLACES: [u8; 600] = {
    let mut places = [STATUSES.len() as u8; 600];
    let mut at = 0;
    while at < STATUSES.len() {
        places[STATUSES[at] as usize] = at as u8;
        at += 1;
    }
    places
};

/// One of [`METHODS`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct KnownMethod(u8);

impl KnownMethod {
    pub(crate) fn of(method: &Method) -> Option<Self> {
        // The first one is that of nearly all requests, and it is told apart without a comparison of texts.
        if *method == Method::GET {
            return Some(Self(0));
        }
        METHODS.iter().position(|known| *known == method.as_str()).and_then(|at| u8::try_from(at).ok()).map(Self)
    }

    pub(crate) fn as_str(self) -> &'static str {
        METHODS[usize::from(self.0)]
    }
}

/// A route, by its place among all routes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Route(usize);

impl Route {
    /// None: no route has the path, or the path was not read.
    pub(crate) const NONE: Self = Self(0);

    /// The route at this place of the list that the counts were made with.
    pub(crate) const fn at(place: usize) -> Self {
        Self(place + 1)
    }
}

#[derive(Debug)]
struct RouteCounts {
    by_method: [[Counter; STATUSES.len() + 1]; METHODS.len() + 1],
    durations: Histogram,
}

impl Default for RouteCounts {
    fn default() -> Self {
        Self { by_method: Default::default(), durations: Histogram::of_durations() }
    }
}

/// The counts of one thread. A route gets its place when its first request comes.
#[derive(Debug)]
struct Routes([OnceLock<Box<RouteCounts>>; MAX_ROUTES]);

impl Default for Routes {
    fn default() -> Self {
        Self([const { OnceLock::new() }; MAX_ROUTES])
    }
}

/// The counts of all requests.
#[derive(Debug)]
pub(crate) struct RequestCounts {
    /// The first is that of no route.
    patterns: Vec<&'static str>,
    places: HashMap<&'static str, usize>,
    counts: PerThread<Routes>,
}

/// Requests of one route with one method and one status.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct AnsweredRequests {
    pub(crate) method: &'static str,
    pub(crate) route: &'static str,
    pub(crate) status: Option<u16>,
    pub(crate) count: u64,
}

impl RequestCounts {
    /// No requests yet, of these routes.
    pub(super) fn new(patterns: impl IntoIterator<Item = &'static str>) -> Self {
        let mut all = vec!["none"];
        for pattern in patterns {
            if !all.contains(&pattern) {
                all.push(pattern);
            }
        }
        assert!(all.len() <= MAX_ROUTES, "MAX_ROUTES must be at least {}", all.len());
        let places = all.iter().enumerate().map(|(place, pattern)| (*pattern, place)).collect();
        Self { patterns: all, places, counts: PerThread::default() }
    }

    /// The route with this pattern.
    pub(crate) fn route(&self, pattern: Option<&str>) -> Route {
        pattern.and_then(|pattern| self.places.get(pattern)).map_or(Route::NONE, |place| Route(*place))
    }

    /// Counts an answer.
    pub(crate) fn count(&self, route: Route, method: Option<KnownMethod>, status: StatusCode, elapsed: Duration) {
        let counts = self.counts.own().0[route.0].get_or_init(Box::default);
        let method = method.map_or(METHODS.len(), |method| usize::from(method.0));
        let status = PLACES.get(usize::from(status.as_u16())).map_or(STATUSES.len(), |place| usize::from(*place));
        counts.by_method[method][status].increment();
        counts.durations.observe(elapsed);
    }

    /// The requests that were answered so far.
    pub(crate) fn answered(&self) -> Vec<AnsweredRequests> {
        let mut answered = Vec::new();
        for (place, route) in self.patterns.iter().enumerate() {
            for (at, method) in METHODS.iter().chain([&OTHER]).enumerate() {
                for status in 0..=STATUSES.len() {
                    let count = self.of_route(place).map(|counts| counts.by_method[at][status].get()).sum();
                    if count > 0 {
                        answered.push(AnsweredRequests { method, route, status: STATUSES.get(status).copied(), count });
                    }
                }
            }
        }
        answered
    }

    /// How long the answers of each route took that was asked.
    pub(crate) fn durations(&self) -> impl Iterator<Item = (&'static str, Distribution)> {
        self.patterns.iter().enumerate().filter_map(|(place, route)| Some((*route, self.durations_at(place)?)))
    }

    /// How long the answers of the route with this pattern took. Nothing, if it was not asked yet.
    pub(crate) fn durations_of(&self, pattern: &str) -> Distribution {
        let place = self.places.get(pattern);
        place.and_then(|place| self.durations_at(*place)).unwrap_or_else(|| Histogram::of_durations().distribution())
    }

    fn durations_at(&self, place: usize) -> Option<Distribution> {
        self.of_route(place).map(|counts| counts.durations.distribution()).reduce(|mut sum, more| {
            sum.add(&more);
            sum
        })
    }

    fn of_route(&self, place: usize) -> impl Iterator<Item = &RouteCounts> {
        self.counts.all().filter_map(move |routes| routes.0[place].get()).map(|counts| &**counts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::{codes::Code, routes};

    #[test]
    fn every_status_of_an_error_is_told_apart() {
        for code in Code::ALL {
            assert!(STATUSES.contains(&code.status().as_u16()), "{} is not in STATUSES", code.status());
        }
    }

    #[test]
    fn requests_are_counted_by_route_method_and_status() {
        let counts = RequestCounts::new(routes().into_iter().map(|(_, pattern)| pattern));
        let user = counts.route(Some("/api/v1/user"));
        assert_ne!(user, Route::NONE);
        assert_eq!(counts.route(Some("/pat_secret")), Route::NONE);
        let (get, teapot) = (KnownMethod::of(&Method::GET), StatusCode::IM_A_TEAPOT);
        for _ in 0..2 {
            counts.count(user, get, StatusCode::OK, Duration::from_micros(9));
        }
        counts.count(Route::NONE, KnownMethod::of(&Method::from_bytes(b"BREW").unwrap()), teapot, Duration::ZERO);
        let answered = |method, route, status, count| AnsweredRequests { method, route, status, count };
        assert_eq!(
            counts.answered(),
            [answered("other", "none", None, 1), answered("GET", "/api/v1/user", Some(200), 2)]
        );
        assert_eq!(counts.durations_of("/api/v1/user").count(), 2);
        assert_eq!(counts.durations_of("/livez").count(), 0);
        assert_eq!(counts.durations().map(|(route, _)| route).collect::<Vec<_>>(), ["none", "/api/v1/user"]);
    }
}
