//! Checks that the system gives the server enough open files, threads and memory, and limits the connections accordingly.
//! Too few files or threads are an error before the start, because the framework panics if it runs out of them.

mod memory;

use log::Level;

use super::failure::Failure;
use crate::{
    config::{Config, Sources},
    threads::Threads,
};

/// Open files per connection.
const FILES_PER_CONNECTION: u64 = 1;
/// Open files per worker: its own, and those of connections that wait for a free place.
const FILES_PER_WORKER: u64 = 12;
/// Open files per connection to the database: the file and its write-ahead log.
const FILES_PER_READER: u64 = 2;
/// All other open files (standard streams, listeners, locks, those of the writer): about 20, and a reserve.
const OTHER_FILES: u64 = 64;
/// With fewer connections than this, the idle connections of a proxy alone could fill the server.
const MIN_CONNECTIONS: u64 = 16;
/// How much memory a client can make the server use for a connection while it sends a head and a body (measured).
const MEMORY_PER_CONNECTION: u64 = 192 << 10;
/// Threads that no setting counts (the writer, pools, the file watch, large answers), and a reserve.
const OTHER_THREADS: usize = 30;

/// Lowers `server.max_connections` to what the open files allow, and its default also to what the memory allows. Raises the
/// limit of open files first, as far as the system permits (many systems start a process with 1,024). Fails if there are
/// too few files or threads to run the server.
pub(super) fn fit(config: &mut Config) -> Result<(), Failure> {
    // A setting with the same number as the default counts as the default.
    let is_default = config.server.max_connections == Config::load(Sources::default())?.server.max_connections;
    fit_memory(config, is_default);
    fit_files(config, is_default)?;
    check_threads(config)
}

/// Connections may use half of the memory that password hashing leaves. A number that was set is only warned about.
fn fit_memory(config: &mut Config, is_default: bool) {
    let Some(limit) = memory::limit() else { return };
    let passwords = config.passwords.concurrent_hashes as u64 * u64::from(config.passwords.memory_kib) * 1024;
    let allowed = connections_in_memory(limit, passwords);
    if allowed >= config.server.max_connections as u64 {
        return;
    }
    let mib = limit >> 20;
    if !is_default {
        log::warn!(
            memory_mib = mib;
            "there is not enough memory for server.max_connections: clients can make each connection use 192 KiB"
        );
        return;
    }
    config.server.max_connections = usize::try_from(allowed).unwrap_or(usize::MAX);
    log::info!(
        connections = allowed, memory_mib = mib;
        "fewer connections than server.max_connections: only as many as fit into half of the memory that password hashing \
         leaves, with 192 KiB each"
    );
}

fn connections_in_memory(limit: u64, passwords: u64) -> u64 {
    (limit.saturating_sub(passwords) / 2 / MEMORY_PER_CONNECTION).max(MIN_CONNECTIONS)
}

/// How many files the server has open with all connections.
pub(super) fn files_wanted(config: &Config) -> u64 {
    fixed_files(config).saturating_add(FILES_PER_CONNECTION.saturating_mul(config.server.max_connections as u64))
}

fn fixed_files(config: &Config) -> u64 {
    let readers = u64::from(config.database.readers) + u64::from(long_readers(config));
    OTHER_FILES + FILES_PER_WORKER * config.server.workers as u64 + FILES_PER_READER * readers
}

fn fit_files(config: &mut Config, is_default: bool) -> Result<(), Failure> {
    let (fixed, wanted) = (fixed_files(config), files_wanted(config));
    let allowed = rlimit::increase_nofile_limit(wanted).unwrap_or(0);
    let connections = fit_connections(config.server.max_connections as u64, fixed, allowed).ok_or_else(|| {
        let least = fixed + FILES_PER_CONNECTION * MIN_CONNECTIONS;
        Failure::Unavailable(format!(
            "the system allows this process {allowed} open files, and the server needs at least {least}: raise the limit \
             (ulimit -n, or LimitNOFILE= in a systemd unit), or lower server.workers or database.readers"
        ))
    })?;
    if connections < config.server.max_connections {
        // A number that was set is expected to hold; the default is only an upper limit.
        let level = if is_default { Level::Info } else { Level::Warn };
        log::log!(
            level, connections, open_files = allowed;
            "fewer connections than server.max_connections: the system allows too few open files (ulimit -n)"
        );
        config.server.max_connections = connections;
    }
    Ok(())
}

/// How many connections the open files allow, or `None` if that is too few to run the server.
fn fit_connections(wanted: u64, fixed: u64, allowed: u64) -> Option<usize> {
    let possible = allowed.checked_sub(fixed)? / FILES_PER_CONNECTION;
    let fitted = wanted.min(possible);
    // Fewer than the minimum are fine if the setting asks for fewer.
    (fitted >= MIN_CONNECTIONS.min(wanted)).then(|| usize::try_from(fitted).unwrap_or(usize::MAX))
}

const fn long_readers(config: &Config) -> u32 {
    config.database.readers.div_ceil(2)
}

/// Starts as many threads as the server will have, then ends them.
fn check_threads(config: &Config) -> Result<(), Failure> {
    let count =
        config.server.workers + config.passwords.concurrent_hashes + long_readers(config) as usize + OTHER_THREADS;
    Threads::start("patd-trial", count).map(drop).map_err(|error| {
        Failure::Unavailable(format!(
            "the system does not give this process the {count} threads that the server needs ({error}): raise the limit \
             (ulimit -u, TasksMax= in a systemd unit, or the process limit of the container), or lower server.workers, \
             passwords.concurrent_hashes or database.readers"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_fit_the_open_files_that_are_allowed() {
        assert_eq!(fit_connections(10_000, 100, 10_100), Some(10_000));
        assert_eq!(fit_connections(10_000, 100, 10_000), Some(9_900));
        assert_eq!(fit_connections(10_000, 100, 116), Some(16));
        assert_eq!(fit_connections(10_000, 100, 115), None);
        assert_eq!(fit_connections(10_000, 100, 40), None);
        assert_eq!(fit_connections(2, 100, 102), Some(2));
        assert_eq!(fit_connections(2, 100, 101), None);
    }

    #[test]
    fn connections_use_half_of_the_memory_that_password_hashing_leaves() {
        assert_eq!(connections_in_memory(256 << 20, 38 << 20), 581);
        assert_eq!(connections_in_memory(128 << 20, 38 << 20), 240);
        assert_eq!(connections_in_memory(1 << 40, 38 << 20), 2_796_101);
        assert_eq!(connections_in_memory(16 << 20, 38 << 20), MIN_CONNECTIONS);
    }
}
