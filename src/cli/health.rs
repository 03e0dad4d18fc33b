//! `patd health`: asks the server on this machine whether it is ready.

use super::{doctor::server::probe, failure::Failure, global::GlobalOptions, output};
use crate::{
    config::Config,
    domain::finding::{Finding, Verdict},
};

pub(super) fn run(options: &GlobalOptions) -> Result<(), Failure> {
    let config = Config::load(options.sources()?)?;
    let Finding { verdict, text, .. } = probe(config.server.bind);
    match verdict {
        Verdict::Good => output::print(&text),
        Verdict::Warning | Verdict::Bad => Err(Failure::Unavailable(text)),
    }
}
