//! What this process keeps in memory for all requests.

pub(crate) mod answer_memory;
pub(crate) mod current;
pub(crate) mod probes;
pub(crate) mod request_counts;

use std::{
    io,
    net::IpAddr,
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use ipnet::IpNet;
use log::Level;

use self::{answer_memory::AnswerMemory, probes::Probes, request_counts::RequestCounts};
use crate::{
    config::{self, Config, LoggedChecks},
    http::{console::settings::Console, wire::cors::Cors},
    ops::Context,
    sampling::Sampler,
};

/// Everything that handlers share. States of one process differ in their settings alone.
pub struct AppState {
    /// The operations and what they work with.
    pub ops: Context,
    /// Set when shutdown begins.
    pub draining: Arc<AtomicBool>,
    pub(crate) request_limits: RequestLimits,
    pub(crate) trusted_proxies: Vec<IpNet>,
    pub(crate) logged_checks: LoggedChecks,
    pub(crate) refused_checks: Arc<Sampler>,
    pub(crate) malformed: Arc<Sampler>,
    pub(crate) answer_memory: Arc<AnswerMemory>,
    pub(crate) probes: Arc<Probes>,
    pub(crate) request_counts: Arc<RequestCounts>,
    pub(crate) console: Arc<Console>,
    pub(crate) cors: Option<Arc<Cors>>,
}

/// The bounds of one request. Sizes are in bytes.
pub(crate) struct RequestLimits {
    pub(crate) head: usize,
    pub(crate) body: usize,
    pub(crate) body_timeout: Duration,
    pub(crate) deadline: Duration,
}

impl RequestLimits {
    const fn new(settings: &config::Server) -> Self {
        Self {
            head: settings.head_limit,
            body: settings.body_limit,
            body_timeout: settings.body_timeout,
            deadline: settings.request_deadline,
        }
    }
}

impl AppState {
    /// Takes the limits of `config`, the operations and the patterns of all routes. Starts the threads that serialize large
    /// answers.
    pub fn new(config: &Config, ops: Context, routes: impl IntoIterator<Item = &'static str>) -> io::Result<Self> {
        let settings = &config.server;
        Ok(Self {
            answer_memory: Arc::new(AnswerMemory::new(config.database.pool_timeout)?),
            probes: Arc::default(),
            request_counts: Arc::new(RequestCounts::new(routes)),
            console: Arc::new(Console::new(&config.console)?),
            cors: Cors::new(&config.cors).map(Arc::new),
            ops,
            draining: Arc::default(),
            request_limits: RequestLimits::new(settings),
            trusted_proxies: settings.trusted_proxies.clone(),
            logged_checks: config.log.checks,
            refused_checks: Arc::new(Sampler::new(100, "refused checks", Level::Warn)),
            malformed: Arc::new(Sampler::new(10, "requests that could not be read", Level::Info)),
        })
    }

    /// The state with other settings. All else is shared with this one.
    pub(crate) fn with_settings(&self, config: &Config) -> Self {
        Self {
            ops: self.ops.with_settings(config),
            draining: Arc::clone(&self.draining),
            request_limits: RequestLimits::new(&config.server),
            trusted_proxies: config.server.trusted_proxies.clone(),
            logged_checks: config.log.checks,
            refused_checks: Arc::clone(&self.refused_checks),
            malformed: Arc::clone(&self.malformed),
            answer_memory: Arc::clone(&self.answer_memory),
            probes: Arc::clone(&self.probes),
            request_counts: Arc::clone(&self.request_counts),
            console: Arc::clone(&self.console),
            cors: Cors::new(&config.cors).map(Arc::new),
        }
    }

    /// Whether `address` is one of the configured proxies.
    pub(crate) fn trusts(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.trusted_proxies.iter().any(|network| network.contains(&address))
    }
}
