//! Measures the cost of a cached record, for the numbers in config.toml. Run it by hand, optimised, one test at a time:
//! `cargo test --release --test cached_cost -- --ignored --nocapture --test-threads 1`

#![expect(clippy::unwrap_used, reason = "a panic fails the measurement")]
#![expect(clippy::print_stdout, reason = "the output is the result")]

use std::{
    hint::black_box,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use patd::{
    domain::{
        ability::{Abilities, Ability},
        account::{Email, PasswordHash, Role, User},
        audit::{Attribution, RequestSource},
        id::{EnvironmentId, TokenId, UserId},
        secret::{CredentialKind, Plaintext, Prefixes, TokenHash},
        text::Name,
        time::Timestamp,
        token::NewToken,
    },
    store::{
        Access, Backend, CredentialSource, Reply, Store,
        cache::Capacity,
        sqlite::{SqliteSettings, SqliteStore},
    },
};
use uuid::Uuid;

const RECORDS: usize = 100_000;

/// An empty cache over a store of [`RECORDS`] tokens, a hundred for each user.
fn set_up() -> (tempfile::TempDir, Arc<SqliteStore>, Backend, Vec<TokenHash>) {
    let directory = tempfile::tempdir().unwrap();
    let settings = SqliteSettings {
        path: directory.path().join("patd.db"),
        readers: 2,
        pool_timeout: Duration::from_secs(2),
        busy_timeout: Duration::from_secs(5),
        write_queue: 4096,
    };
    let store = Arc::new(SqliteStore::open(&settings, Access::Server).unwrap());
    let backend =
        Backend::with_cache(Arc::clone(&store), Capacity { tokens: 2 * RECORDS, sessions: 1, unknown: 2 * RECORDS });
    let abilities = Abilities::new(["calls:read", "calls:write"].map(|text| Ability::parse(text).unwrap())).unwrap();
    let mut hashes = Vec::with_capacity(RECORDS);
    block_on(async {
        for n in 0..RECORDS / 100 {
            let owner = User {
                id: UserId::new(Uuid::now_v7()),
                name: Name::parse("Ada Lovelace").unwrap(),
                email: Email::parse(&format!("ada{n}@example.com")).unwrap(),
                created_at: Timestamp::from_unix(1),
                disabled_at: None,
                current_environment: EnvironmentId::new(Uuid::now_v7()),
                role: Role::Member,
            };
            let by = Attribution { origin: RequestSource::COMMAND_LINE, at: Timestamp::from_unix(1) };
            store.add_user(owner.clone(), PasswordHash::new("$argon2id$".into()), by.clone()).await.unwrap();
            let tokens = (0..100).map(|_| {
                let plaintext = secret();
                hashes.push(plaintext.hash());
                let id = TokenId::new(Uuid::now_v7());
                let token = NewToken {
                    id,
                    environment: None,
                    family: id,
                    rotated_from: None,
                    owner: owner.id,
                    name: Name::parse("CI Pipeline").unwrap(),
                    abilities: abilities.clone(),
                    hash: plaintext.hash(),
                    hint: plaintext.hint(),
                    created_at: Timestamp::from_unix(1),
                    expires_at: None,
                    limits: None,
                    annotations: None,
                    is_canary: false,
                };
                store.add_token(token, u32::MAX, by.clone())
            });
            join_all(tokens).await.into_iter().for_each(|added| drop(added.unwrap()));
        }
    });
    (directory, store, backend, hashes)
}

fn secret() -> Plaintext {
    Plaintext::generate(CredentialKind::PersonalAccessToken, &Prefixes::new("ses_", "pat_", "talq_").unwrap()).unwrap()
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

/// The resident memory of this process, in bytes.
fn resident() -> usize {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
    pages.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
}

fn lookup(backend: &Backend, hash: &TokenHash) -> bool {
    match backend.credentials.token_by_hash(hash) {
        Reply::Ready(Some(found)) => found.unwrap().is_some(),
        _ => panic!("the lookup did not answer in place"),
    }
}

fn nanoseconds_each(times: usize, mut work: impl FnMut(usize)) -> f64 {
    let start = Instant::now();
    (0..times).for_each(&mut work);
    start.elapsed().as_nanos() as f64 / times as f64
}

#[test]
#[ignore = "a measurement"]
fn bytes_and_nanoseconds() {
    let (_directory, store, backend, hashes) = set_up();
    let unknown: Vec<TokenHash> = (0..RECORDS).map(|_| secret().hash()).collect();
    let mut before = resident();
    let mut grown = || {
        let grown = resident() - before;
        before += grown;
        grown / RECORDS
    };
    let cold = nanoseconds_each(RECORDS, |n| assert!(lookup(&backend, &hashes[n])));
    println!("a token: {} bytes, {cold:.0} ns for the first lookup", grown());
    let cold = nanoseconds_each(RECORDS, |n| assert!(!lookup(&backend, &unknown[n])));
    println!("an unknown secret: {} bytes, {cold:.0} ns for the first lookup", grown());

    for hot in [1, 1000, RECORDS / 2] {
        let known = nanoseconds_each(5_000_000, |n| assert!(lookup(&backend, &hashes[n % hot])));
        let unknown = nanoseconds_each(5_000_000, |n| assert!(!lookup(&backend, &unknown[n % hot])));
        println!("{hot} secrets in turn: {known:.0} ns for each known one, {unknown:.0} ns for each unknown one");
    }
    let coherence = nanoseconds_each(5_000_000, |_| assert!(black_box(store.is_coherent())));
    println!("of this, the check that the store is coherent: {coherence:.0} ns");
}
