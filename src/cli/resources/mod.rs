//! What a server needs of the system before it starts: open files, threads and memory. A start that would get too few files
//! or threads is refused here, since the framework panics where it runs out of either.

mod memory;

use log::Level;

use super::Failure;
use crate::{
    config::{Config, Sources},
    threads::Threads,
};

/// Open files for each connection.
const FILES_PER_CONNECTION: u64 = 1;
/// Open files for each thread that answers requests: its own, and the connections that wait there for a place.
const FILES_PER_WORKER: u64 = 12;
/// Open files for each connection to the database: the file and its log.
const FILES_PER_READER: u64 = 2;
/// All others, about 20 at rest: standard streams, listeners, locks, the writer's; and some to spare.
const OTHER_FILES: u64 = 64;
/// With fewer connections than this, a proxy's kept connections alone would fill the server.
const LEAST_CONNECTIONS: u64 = 16;
/// What a client can make the server hold for a connection while a head and a body come in, measured.
const MEMORY_PER_CONNECTION: u64 = 192 << 10;
/// Threads beside those that the settings count: the writer's, those of pools and watches, those that write large answers;
/// and some to spare.
const OTHER_THREADS: usize = 30;

/// Fits `server.max_connections` to the open files that the system allows, of which it asks for as many as are wanted
/// (many systems give a process 1,024 unless it asks), and the default to the memory. Refuses where there are too few files
/// or threads to serve at all.
pub(super) fn fit(config: &mut Config) -> Result<(), Failure> {
    // Whether nobody asked for another number, as far as the number tells.
    let is_default = config.server.max_connections == Config::load(Sources::default())?.server.max_connections;
    fit_memory(config, is_default);
    fit_files(config, is_default)?;
    expect_threads(config)
}

/// Connections may take half of the memory that passwords leave. Whoever asked for a number has it.
fn fit_memory(config: &mut Config, is_default: bool) {
    let Some(limit) = memory::limit() else { return };
    let passwords = config.passwords.concurrent_hashes as u64 * u64::from(config.passwords.memory_kib) * 1024;
    let room = memory_room(limit, passwords);
    if room >= config.server.max_connections as u64 {
        return;
    }
    let mib = limit >> 20;
    if !is_default {
        log::warn!(
            memory_mib = mib;
            "server.max_connections is more than there is memory for: clients can make each connection take 192 KiB"
        );
        return;
    }
    config.server.max_connections = usize::try_from(room).unwrap_or(usize::MAX);
    log::info!(
        connections = room, memory_mib = mib;
        "fewer connections at once than server.max_connections: half of the memory that passwords leave, 192 KiB each"
    );
}

fn memory_room(limit: u64, passwords: u64) -> u64 {
    (limit.saturating_sub(passwords) / 2 / MEMORY_PER_CONNECTION).max(LEAST_CONNECTIONS)
}

fn fit_files(config: &mut Config, is_default: bool) -> Result<(), Failure> {
    let readers = u64::from(config.database.readers) + u64::from(long_readers(config));
    let fixed = OTHER_FILES + FILES_PER_WORKER * config.server.workers as u64 + FILES_PER_READER * readers;
    let wanted = fixed.saturating_add(FILES_PER_CONNECTION.saturating_mul(config.server.max_connections as u64));
    let allowed = rlimit::increase_nofile_limit(wanted).unwrap_or(0);
    let connections = fit_connections(config.server.max_connections as u64, fixed, allowed).ok_or_else(|| {
        let least = fixed + FILES_PER_CONNECTION * LEAST_CONNECTIONS;
        Failure::Unavailable(format!(
            "the system allows this process {allowed} open files, and the server needs {least} at the least: raise the \
             limit (ulimit -n, or LimitNOFILE= in a systemd unit), or lower server.workers or database.readers"
        ))
    })?;
    if connections < config.server.max_connections {
        // Who asked for a number must learn that there are fewer; the default is only a ceiling.
        let level = if is_default { Level::Info } else { Level::Warn };
        log::log!(
            level, connections, open_files = allowed;
            "fewer connections at once than server.max_connections: the system allows too few open files for more \
             (ulimit -n)"
        );
        config.server.max_connections = connections;
    }
    Ok(())
}

/// How many connections there are files for; `None` where too few to serve.
fn fit_connections(asked: u64, fixed: u64, allowed: u64) -> Option<usize> {
    let room = allowed.checked_sub(fixed)? / FILES_PER_CONNECTION;
    let fitted = asked.min(room);
    // Who asks for fewer may have them.
    (fitted >= LEAST_CONNECTIONS.min(asked)).then(|| usize::try_from(fitted).unwrap_or(usize::MAX))
}

const fn long_readers(config: &Config) -> u32 {
    config.database.readers.div_ceil(2)
}

/// Makes all threads at once that a server has, and ends them.
fn expect_threads(config: &Config) -> Result<(), Failure> {
    let count =
        config.server.workers + config.passwords.concurrent_hashes + long_readers(config) as usize + OTHER_THREADS;
    Threads::start("patd-trial", count).map(drop).map_err(|error| {
        Failure::Unavailable(format!(
            "the system does not give this process the {count} threads that the server needs ({error}): raise its limit \
             (ulimit -u, TasksMax= in a systemd unit, or the container's limit of processes), or lower server.workers, \
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
    fn connections_take_half_of_the_memory_that_passwords_leave() {
        assert_eq!(memory_room(256 << 20, 38 << 20), 581);
        assert_eq!(memory_room(128 << 20, 38 << 20), 240);
        assert_eq!(memory_room(1 << 40, 38 << 20), 2_796_101);
        assert_eq!(memory_room(16 << 20, 38 << 20), LEAST_CONNECTIONS);
    }
}
