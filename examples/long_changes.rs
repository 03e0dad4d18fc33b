//! Measures how long the largest changes of one owner hold up others: the hand-over of 10,000 tokens, the deletion of their
//! owner, and the scrub of the whole file that follows.
//!
//! `cargo run --release --example long_changes -- --database F --plaintexts P`, where the example `seed` made both files. It
//! changes F. Meanwhile one thread makes small writes and one looks up tokens in the store, past the cache, both every few
//! milliseconds. Prints for each change how long it took, and the longest small write and look-up in it.

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use clap::Parser;
use patd::{
    domain::{
        account::{Email, PasswordHash, Role, User},
        audit::{Attribution, RequestSource},
        id::{EnvironmentId, UserId},
        secret::{CredentialKind, Plaintext, Prefixes, PresentedCredential, TokenHash},
        text::Name,
        time::Timestamp,
    },
    store::{
        Access, Credentials, Erasure, HandOver, LastAdmin, Ownership, Selection, Store, UserDeletion,
        sqlite::{SqliteSettings, SqliteStore},
    },
};
use rusqlite::{Connection, params};
use uuid::Uuid;

const PAUSE: Duration = Duration::from_millis(2);
const QUIET: Duration = Duration::from_secs(3);

#[derive(Parser)]
struct Arguments {
    /// A file that the example `seed` made
    #[arg(long)]
    database: PathBuf,
    /// The plaintexts that it wrote
    #[arg(long)]
    plaintexts: PathBuf,
    /// How many tokens are handed over, and deleted with their owner
    #[arg(long, default_value_t = 10_000)]
    tokens: u32,
}

fn main() -> anyhow::Result<()> {
    let Arguments { database, plaintexts, tokens } = Arguments::parse();
    let settings = SqliteSettings {
        path: database.clone(),
        readers: 2,
        pool_timeout: Duration::from_secs(2),
        busy_timeout: Duration::from_secs(5),
        write_queue: 1024,
    };
    let store = SqliteStore::open(&settings, Access::Existing)?;
    let [ada, bob] = ["ada", "bob"].map(|name| add_user(&store, name));
    let (ada, bob) = (ada?, bob?);
    drop(store);
    add_tokens(&database, ada, tokens)?;
    let known = known_tokens(&plaintexts)?;
    let store = Arc::new(SqliteStore::open(&settings, Access::Server)?);
    writeln!(io::stdout(), "file: {:.0} MiB", megabytes(&database))?;
    measure("nothing else", &store, &known, || {
        thread::sleep(QUIET);
        Ok(())
    })?;
    let everything =
        HandOver { from: ada, to: bob, tokens: Selection::All, environments: Selection::All, max_live_tokens: tokens };
    measure("hand-over", &store, &known, || {
        block_on(store.hand_over(everything.clone(), by()))?;
        Ok(())
    })?;
    let how = UserDeletion { verified: None, transfer: None, last: LastAdmin::Stays };
    measure("deletion", &store, &known, || {
        block_on(store.delete_user(bob, how.clone(), by()))?;
        Ok(())
    })?;
    measure("scrub", &store, &known, || {
        let (mut longest, mut turns) = (Duration::ZERO, 0);
        loop {
            let begun = Instant::now();
            let is_done = block_on(store.scrub())?;
            longest = longest.max(begun.elapsed());
            turns += 1;
            if is_done {
                writeln!(
                    io::stdout(),
                    "  {turns} turns of the scrub, the longest took {:.1} ms",
                    milliseconds(longest)
                )?;
                return Ok(());
            }
        }
    })
}

/// Runs `change` beside small writes and look-ups.
fn measure(
    name: &str,
    store: &Arc<SqliteStore>,
    known: &[TokenHash],
    change: impl FnOnce() -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let is_over = AtomicBool::new(false);
    let (took, writes, lookups) = thread::scope(|scope| {
        let writes = scope.spawn(|| repeat(&is_over, |_| block_on(store.record_time(now())).is_ok()));
        let lookups = scope.spawn(|| {
            repeat(&is_over, |turn| {
                let hash = known[turn * 7919 % known.len()];
                block_on(store.token_by_hash(&hash)).is_ok_and(|found| found.is_some())
            })
        });
        thread::sleep(20 * PAUSE);
        let begun = Instant::now();
        let outcome = change();
        let took = begun.elapsed();
        thread::sleep(20 * PAUSE);
        is_over.store(true, Ordering::Relaxed);
        let join =
            |probe: thread::ScopedJoinHandle<'_, Probe>| probe.join().map_err(|_| anyhow::anyhow!("a probe failed"));
        outcome.and_then(|()| Ok((took, join(writes)?, join(lookups)?)))
    })?;
    writeln!(
        io::stdout(),
        "{name}: {:.1} ms; small writes: {}; look-ups: {}",
        milliseconds(took),
        writes.describe(),
        lookups.describe()
    )?;
    Ok(())
}

/// How long each of many small operations took.
struct Probe(Vec<Duration>);

fn repeat(is_over: &AtomicBool, operation: impl Fn(usize) -> bool) -> Probe {
    let mut took = Vec::new();
    while !is_over.load(Ordering::Relaxed) {
        let begun = Instant::now();
        assert!(operation(took.len()), "an operation was refused");
        took.push(begun.elapsed());
        thread::sleep(PAUSE);
    }
    Probe(took)
}

impl Probe {
    fn describe(&self) -> String {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let longest = sorted.last().copied().unwrap_or_default();
        let median = sorted.get(sorted.len() / 2).copied().unwrap_or_default();
        format!("{}, median {:.2} ms, longest {:.1} ms", sorted.len(), milliseconds(median), milliseconds(longest))
    }
}

fn add_user(store: &SqliteStore, name: &str) -> anyhow::Result<UserId> {
    let id = UserId::new(Uuid::now_v7());
    let user = User {
        id,
        name: Name::parse(name)?,
        email: Email::parse(&format!("{name}-{id}@example.com"))?,
        created_at: now(),
        disabled_at: None,
        current_environment: EnvironmentId::new(Uuid::now_v7()),
        role: Role::Member,
    };
    block_on(store.add_user(user, PasswordHash::new("$argon2id$nobody signs in$".to_owned()), by()))?;
    Ok(id)
}

/// Adds tokens as `seed` does, each with two addresses.
fn add_tokens(database: &Path, owner: UserId, count: u32) -> anyhow::Result<()> {
    let prefixes = Prefixes::new("ses_", "pat_", "talq_")?;
    let mut connection = Connection::open(database)?;
    let transaction = connection.transaction()?;
    for number in 0..count {
        let (id, secret) = (Uuid::now_v7(), Plaintext::generate(CredentialKind::PersonalAccessToken, &prefixes)?);
        transaction
            .prepare_cached(
                "INSERT INTO tokens (id, owner_id, hash, hint, name, abilities, created_at, family_id)
                 VALUES (?1, ?2, ?3, ?4, ?5, 'calls:read', ?6, ?1)",
            )?
            .execute(params![
                id.as_bytes(),
                owner.uuid().as_bytes(),
                secret.hash().as_bytes(),
                secret.hint().to_string(),
                format!("token {number}"),
                now().unix()
            ])?;
        for address in ["192.0.2.7", "198.51.100.7"] {
            transaction
                .prepare_cached(
                    "INSERT INTO token_addresses (token_id, address, user_agent, last_used_at) VALUES (?1, ?2, 'curl', ?3)",
                )?
                .execute(params![id.as_bytes(), address, now().unix()])?;
        }
    }
    transaction.commit()?;
    connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE);")?;
    Ok(())
}

/// The hashes of the tokens in a file that `seed` wrote.
fn known_tokens(plaintexts: &Path) -> anyhow::Result<Vec<TokenHash>> {
    let prefixes = Prefixes::new("ses_", "pat_", "talq_")?;
    let text = std::fs::read_to_string(plaintexts)?;
    text.lines().map(|line| Ok(PresentedCredential::parse(line, &prefixes)?.hash)).collect()
}

fn by() -> Attribution {
    Attribution { origin: RequestSource::COMMAND_LINE, at: now() }
}

fn now() -> Timestamp {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    Timestamp::from_unix(i64::try_from(seconds).unwrap_or(i64::MAX))
}

fn megabytes(file: &Path) -> f64 {
    std::fs::metadata(file).map_or(0.0, |found| found.len() as f64 / f64::from(1 << 20))
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

fn block_on<F: IntoFuture>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(future.into_future())
}
