//! The names, labels and descriptions of all metrics. `docs/metrics.md` lists them; a test compares the two.

use std::{
    env::consts,
    fmt::{self, Error},
    sync::Arc,
};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, text::encode},
    registry::{Registry, Unit},
};

use super::{
    counted_tokens::CountedTokens,
    families::{Families, Name},
};
use crate::{
    domain::token_counts::{COUNTED_KINDS, CountedState, EXPIRY_WINDOWS, TokenCounts},
    http::state::current::State,
    ops::state::measurements::{CheckVerdict, SignInResult, ThrottledAction, Via},
    store::{CacheReport, LookupResult, StoreKind, StoreMeasurements},
};

/// A name without a unit.
const fn plain(name: &'static str, help: &'static str) -> Name {
    Name { name, help, unit: None }
}

/// A name that ends with `_seconds`.
const fn seconds(name: &'static str, help: &'static str) -> Name {
    Name { name, help, unit: Some(Unit::Seconds) }
}

const CHECKS: Name = plain("patd_checks", "Checks of credentials, by where they were asked for and how they ended");
const CHECK_DURATION: Name = seconds(
    "patd_check_duration",
    "Time from the head of a request for checks until its answer is ready, by where it was asked",
);
const CACHE_LOOKUPS: Name = plain("patd_cache_lookups", "Lookups of credentials, by cache and result");
const CACHE_COHERENT: Name = plain(
    "patd_cache_coherent",
    "1 if checks are answered from memory, 0 if each asks the store because changes of others may be unknown",
);
const HTTP_REQUESTS: Name =
    plain("patd_http_requests", "Answered requests, by method, pattern of the route and status");
const HTTP_REQUEST_DURATION: Name = seconds(
    "patd_http_request_duration",
    "Time from the head of a request until its answer is ready, by pattern of the route",
);
const TOKENS: Name = plain("patd_tokens", "Tokens in the store, by kind and state, at the latest count");
const TOKENS_EXPIRING: Name =
    plain("patd_tokens_expiring", "Active tokens that expire within this time, at the latest count");
const TOKEN_COUNT_AGE: Name =
    seconds("patd_token_count_age", "Time since the count that patd_tokens and patd_tokens_expiring show");
const SIGN_INS: Name = plain("patd_sign_ins", "Attempts to sign in with a password, by result");
const THROTTLED: Name = plain("patd_throttled", "Actions that a limit refused, by action");
const REUSES: Name =
    plain("patd_token_reuse_detected", "Uses of secrets that rotation had ended: two parties have such a secret");
const STORE_COMMIT: Name = seconds("patd_store_commit", "Time of a COMMIT, until it was on disk");
const STORE_BATCH_SIZE: Name = plain("patd_store_batch_size", "Writes that shared a transaction");
const STORE_QUEUE: Name = plain("patd_store_queue", "Writes that are not answered yet");
const WAL: Name = Name {
    name: "patd_wal",
    help: "Length of the part of the write-ahead log that is in use, at the latest commit",
    unit: Some(Unit::Bytes),
};
const PASSWORD_HASHES: Name =
    plain("patd_password_hashes_in_flight", "Passwords that are being hashed, of passwords.concurrent_hashes");
const ACKNOWLEDGE: Name = seconds(
    "patd_revocation_acknowledge",
    "Time from the commit of a revocation until all nodes knew of it and it was answered",
);
const NODE_LAG: Name = seconds("patd_node_lag", "Time since this node last knew every change of the other nodes");
const BUILD: Name = plain("patd_build", "The version of this server, always 1");

/// The metrics in OpenMetrics text.
pub(super) fn show(state: State, tokens: Arc<CountedTokens>) -> Result<String, Error> {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Metrics { state, tokens }));
    let mut text = String::new();
    encode(&mut text, &registry)?;
    Ok(text)
}

/// Reads all counts when it is encoded.
struct Metrics {
    state: State,
    tokens: Arc<CountedTokens>,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl Collector for Metrics {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> Result<(), Error> {
        let families = &mut Families(encoder);
        self.encode_checks(families)?;
        self.encode_requests(families)?;
        if let Some((counts, age)) = self.tokens.get() {
            encode_tokens(families, &counts)?;
            families.seconds(&TOKEN_COUNT_AGE, age.as_secs_f64())?;
        }
        self.encode_incidents(families)?;
        let ops = &self.state.ops;
        encode_store(families, ops.store.measurements(), ops.store.kind())?;
        families.info(
            &BUILD,
            vec![("version", env!("CARGO_PKG_VERSION")), ("os", consts::OS), ("architecture", consts::ARCH)],
        )
    }
}

/// The pattern of the route by which a check is asked for.
const fn route_of(via: Via) -> &'static str {
    match via {
        Via::AuthRequest => "/api/authz/auth-request/{policy}",
        Via::ForwardAuth => "/api/authz/forward-auth/{policy}",
        Via::ExtAuthz => "/api/authz/ext-authz/{policy}/{tail:.*}",
        Via::Introspect => "/api/v1/introspect",
        Via::Verify => "/api/v1/tokens/verify",
        Via::VerifyBatch => "/api/v1/tokens/verify-batch",
    }
}

fn label(key: &'static str, value: &str) -> (&'static str, String) {
    (key, value.to_owned())
}

impl Metrics {
    fn encode_checks(&self, families: &mut Families<'_>) -> Result<(), Error> {
        let (measurements, counts) = (&self.state.ops.measurements, &self.state.request_counts);
        let verdicts = Via::ALL.iter().flat_map(|via| CheckVerdict::ALL.iter().map(move |verdict| (*via, *verdict)));
        families.counters(
            &CHECKS,
            verdicts.map(|(via, verdict)| {
                let labels = [label("via", via.as_str()), label("verdict", verdict.as_str())];
                (labels, measurements.checks(via, verdict))
            }),
        )?;
        // A check takes as long as the request that asks for it, so it needs no clock of its own.
        let durations = Via::ALL.iter().map(|via| ([label("via", via.as_str())], counts.durations_of(route_of(*via))));
        families.histograms(&CHECK_DURATION, durations)?;
        match self.state.ops.credentials.cache_report() {
            Some(report) => encode_cache(families, &report),
            None => Ok(()),
        }
    }

    fn encode_requests(&self, families: &mut Families<'_>) -> Result<(), Error> {
        let counts = &self.state.request_counts;
        families.counters(
            &HTTP_REQUESTS,
            counts.answered().into_iter().map(|answered| {
                let status = answered.status.map_or_else(|| "other".to_owned(), |status| status.to_string());
                let labels = [label("method", answered.method), label("route", answered.route), ("status", status)];
                (labels, answered.count)
            }),
        )?;
        let durations = counts.durations().map(|(route, durations)| ([label("route", route)], durations));
        families.histograms(&HTTP_REQUEST_DURATION, durations)
    }

    fn encode_incidents(&self, families: &mut Families<'_>) -> Result<(), Error> {
        let ops = &self.state.ops;
        let measurements = &ops.measurements;
        let results = SignInResult::ALL.iter();
        families.counters(
            &SIGN_INS,
            results.map(|result| ([label("result", result.as_str())], measurements.sign_ins(*result))),
        )?;
        let actions = ThrottledAction::ALL.iter();
        families.counters(
            &THROTTLED,
            actions.map(|action| ([label("what", action.as_str())], measurements.throttled(*action))),
        )?;
        families.counter(&REUSES, measurements.reuses.get())?;
        families.gauge(&PASSWORD_HASHES, ops.password_hashes_in_flight() as u64)
    }
}

fn encode_cache(families: &mut Families<'_>, report: &CacheReport) -> Result<(), Error> {
    let caches = [("tokens", report.tokens), ("sessions", report.sessions)];
    let lookups = caches.into_iter().flat_map(|(cache, counts)| {
        LookupResult::ALL
            .into_iter()
            .zip(counts)
            .map(move |(result, count)| ([label("cache", cache), label("result", result.as_str())], count))
    });
    families.counters(&CACHE_LOOKUPS, lookups)?;
    families.gauge(&CACHE_COHERENT, report.is_coherent.into())
}

fn encode_tokens(families: &mut Families<'_>, counts: &TokenCounts) -> Result<(), Error> {
    let by_state = COUNTED_KINDS.iter().zip(counts.by_state).flat_map(|(kind, of_kind)| {
        CountedState::ALL
            .iter()
            .zip(of_kind)
            .map(move |(state, count)| ([label("kind", kind.as_str()), label("state", state.as_str())], count))
    });
    families.gauges(&TOKENS, by_state)?;
    let expiring = EXPIRY_WINDOWS.iter().zip(counts.expiring);
    families.gauges(&TOKENS_EXPIRING, expiring.map(|((within, _), count)| ([label("within", within)], count)))
}

fn encode_store(families: &mut Families<'_>, store: &StoreMeasurements, kind: StoreKind) -> Result<(), Error> {
    families.histogram(&STORE_COMMIT, &store.commits)?;
    families.histogram(&STORE_BATCH_SIZE, &store.batches)?;
    families.gauge(&STORE_QUEUE, store.unanswered_writes.get())?;
    match kind {
        StoreKind::File => families.gauge(&WAL, store.log_bytes.get()),
        StoreKind::Shared { lag } => {
            families.histogram(&ACKNOWLEDGE, &store.acknowledgements)?;
            lag.map_or(Ok(()), |lag| families.seconds(&NODE_LAG, lag.as_secs_f64()))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::http::routes;

    /// The metrics of a store that several nodes share.
    #[derive(Debug)]
    struct OfNodes;

    impl Collector for OfNodes {
        fn encode(&self, encoder: DescriptorEncoder<'_>) -> Result<(), Error> {
            let lag = Some(Duration::from_millis(1500));
            encode_store(&mut Families(encoder), &StoreMeasurements::default(), StoreKind::Shared { lag })
        }
    }

    #[test]
    fn the_metrics_of_several_nodes_are_those_of_the_document() {
        let (mut registry, mut text) = (Registry::default(), String::new());
        registry.register_collector(Box::new(OfNodes));
        encode(&mut text, &registry).unwrap();
        let document = include_str!("../../../docs/metrics.md");
        let rows: Vec<&str> = document.lines().filter(|row| row.contains("PostgreSQL only")).collect();
        assert_eq!(rows.len(), 2);
        for row in rows {
            let cells: Vec<&str> = row.split('|').map(str::trim).collect();
            let declared = format!("# TYPE {} {}\n", cells[1].trim_matches('`'), cells[2]);
            assert!(text.contains(&declared), "{declared}{text}");
        }
        assert!(text.contains("patd_node_lag_seconds 1.5\n") && !text.contains("patd_wal"), "{text}");
    }

    #[test]
    fn every_way_to_ask_for_a_check_has_a_route() {
        for via in Via::ALL {
            assert!(routes().iter().any(|(_, pattern)| *pattern == route_of(*via)), "{via:?}");
        }
    }
}
