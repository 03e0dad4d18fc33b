//! What this process keeps in memory for all requests.

pub(crate) mod answer_memory;
pub(crate) mod probes;
pub(crate) mod request_counts;

use std::{io, net::IpAddr, sync::atomic::AtomicBool, time::Duration};

use ipnet::IpNet;
use log::Level;

use self::{answer_memory::AnswerMemory, probes::Probes, request_counts::RequestCounts};
use crate::{
    config::{Config, LoggedChecks},
    ops::Context,
    sampling::Sampler,
};

/// Everything that handlers share.
pub struct AppState {
    /// The operations and what they work with.
    pub ops: Context,
    /// Set when shutdown begins.
    pub draining: AtomicBool,
    pub(crate) request_limits: RequestLimits,
    pub(crate) trusted_proxies: Vec<IpNet>,
    pub(crate) logged_checks: LoggedChecks,
    pub(crate) refused_checks: Sampler,
    pub(crate) malformed: Sampler,
    pub(crate) answer_memory: AnswerMemory,
    pub(crate) probes: Probes,
    pub(crate) request_counts: RequestCounts,
}

/// The bounds of one request. Sizes are in bytes.
pub(crate) struct RequestLimits {
    pub(crate) head: usize,
    pub(crate) body: usize,
    pub(crate) body_timeout: Duration,
    pub(crate) deadline: Duration,
}

impl AppState {
    /// Takes the limits of `config`, the operations and the patterns of all routes. Starts the threads that serialize large
    /// answers.
    pub fn new(config: &Config, ops: Context, routes: impl IntoIterator<Item = &'static str>) -> io::Result<Self> {
        let settings = &config.server;
        Ok(Self {
            answer_memory: AnswerMemory::new(config.database.pool_timeout)?,
            probes: Probes::default(),
            request_counts: RequestCounts::new(routes),
            ops,
            draining: AtomicBool::new(false),
            request_limits: RequestLimits {
                head: settings.head_limit,
                body: settings.body_limit,
                body_timeout: settings.body_timeout,
                deadline: settings.request_deadline,
            },
            trusted_proxies: settings.trusted_proxies.clone(),
            logged_checks: config.log.checks,
            refused_checks: Sampler::new(100, "refused checks", Level::Warn),
            malformed: Sampler::new(10, "requests that could not be read", Level::Info),
        })
    }

    /// Whether `address` is one of the configured proxies.
    pub(crate) fn trusts(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.trusted_proxies.iter().any(|network| network.contains(&address))
    }
}
