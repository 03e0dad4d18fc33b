//! Measures each step of a check separately: `cargo bench --bench micro`.

#![expect(clippy::unwrap_used, reason = "a failed measurement panics")]

use std::{
    hint::black_box,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};

use criterion::{Criterion, criterion_group, criterion_main};
use patd::{
    config::{Config, Sources},
    domain::{
        ability::{Abilities, Ability},
        account::{Email, PasswordHash, User},
        audit::{Attribution, RequestSource},
        id::{EnvironmentId, TokenId, UserId},
        path::RequestPath,
        policy::{Access, PathPattern, Policy, Rule},
        secret::{CredentialKind, Plaintext, Prefixes, PresentedCredential, TokenHash},
        text::Name,
        time::Timestamp,
        token::NewToken,
    },
    ops::{
        self,
        clock::Clock,
        verification::{self, Caller},
    },
    store::{
        Access as OpenedBy, Backend, Credentials, Store,
        cache::Capacity,
        sqlite::{SqliteSettings, SqliteStore},
    },
};
use uuid::Uuid;

criterion_group!(benches, credentials, matching, lookups, checks);
criterion_main!(benches);

fn credentials(criterion: &mut Criterion) {
    let (prefixes, secret) = (prefixes(), secret());
    let numbered = secret.numbered(1_234_567);
    criterion.bench_function("parse and hash a credential", |bencher| {
        bencher.iter(|| PresentedCredential::parse(black_box(numbered.expose()), &prefixes).unwrap());
    });
    let rubbish = format!("pat_{}", "0".repeat(48));
    criterion.bench_function("refuse a credential by its checksum", |bencher| {
        bencher.iter(|| PresentedCredential::parse(black_box(&rubbish), &prefixes).unwrap_err());
    });
    criterion.bench_function("hash a secret", |bencher| bencher.iter(|| black_box(&secret).hash()));
}

fn matching(criterion: &mut Criterion) {
    let held = abilities(["agents:*", "calls:write", "calls:read"]);
    criterion.bench_function("match an ability, the third of three", |bencher| {
        bencher.iter(|| held.cover(black_box("calls:read")));
    });
    let policy = policy();
    criterion.bench_function("parse a path and find its rule, the last of 20", |bencher| {
        bencher.iter(|| {
            let path = RequestPath::parse(black_box("/area19/calls/42?page=7")).unwrap();
            policy.rule_for("GET", &path).unwrap().0
        });
    });
}

fn lookups(criterion: &mut Criterion) {
    let rig = Rig::new();
    let known = rig.token();
    criterion.bench_function("look up a cached token", |bencher| {
        bencher.iter(|| ready(&mut rig.backend.credentials.token_by_hash(black_box(&known.hash()))).unwrap().unwrap());
    });
    let hash = known.hash();
    criterion.bench_function("look up a cached token by a known hash", |bencher| {
        bencher.iter(|| ready(&mut rig.backend.credentials.token_by_hash(black_box(&hash))).unwrap().unwrap());
    });
    let unknown = secret().hash();
    criterion.bench_function("look up a cached unknown secret", |bencher| {
        bencher.iter(|| ready(&mut rig.backend.credentials.token_by_hash(black_box(&unknown))).unwrap());
    });
    criterion.bench_function("look up a token in the store", |bencher| {
        bencher.iter(|| ready(&mut rig.store.token_by_hash(black_box(&hash))).unwrap().unwrap());
    });
}

/// A check without HTTP. The difference between the two cases is the cost of recording a use.
fn checks(criterion: &mut Criterion) {
    let rig = Rig::new();
    let token = rig.token();
    let time = Arc::new(AtomicI64::new(1_000_000));
    let clock_time = Arc::clone(&time);
    let clock = Clock::new(move || Timestamp::from_unix(clock_time.load(Ordering::Relaxed)));
    let config = Config::load(Sources::default()).unwrap();
    let ctx = ops::Context::new(&config, rig.backend.clone(), clock).unwrap();
    let caller = Caller { address: Some([192, 0, 2, 7].into()), user_agent: Some("curl/8.5.0"), ..Caller::default() };
    let mut check =
        || ready(&mut Box::pin(verification::authenticate(&ctx, black_box(token.expose()), caller))).unwrap();
    criterion.bench_function("check a token, again in the same second", |bencher| bencher.iter(&mut check));
    criterion.bench_function("check a token, each time a second later", |bencher| {
        bencher.iter(|| {
            time.fetch_add(1, Ordering::Relaxed);
            check()
        });
    });
}

/// A cache over a store in a temporary directory, with one user.
struct Rig {
    store: Arc<SqliteStore>,
    backend: Backend,
    owner: UserId,
    _directory: tempfile::TempDir,
}

impl Rig {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let settings = SqliteSettings {
            path: directory.path().join("patd.db"),
            readers: 2,
            pool_timeout: Duration::from_secs(2),
            busy_timeout: Duration::from_secs(5),
            write_queue: 64,
        };
        let store = Arc::new(SqliteStore::open(&settings, OpenedBy::Server).unwrap());
        let capacity = Capacity { tokens: 1000, sessions: 1000, unknown: 1000 };
        let backend = Backend::with_cache(Arc::clone(&store), capacity);
        let owner = User {
            id: UserId::new(Uuid::now_v7()),
            name: Name::parse("Ada Lovelace").unwrap(),
            email: Email::parse("ada@example.com").unwrap(),
            created_at: Timestamp::from_unix(1),
            disabled_at: None,
            current_environment: EnvironmentId::new(Uuid::now_v7()),
            role: patd::domain::account::Role::Member,
        };
        let id = owner.id;
        block_on(store.add_user(owner, PasswordHash::new("$argon2id$".to_owned()), by())).unwrap();
        Self { store, backend, owner: id, _directory: directory }
    }

    fn token(&self) -> Plaintext {
        let secret = secret();
        let hash: TokenHash = secret.hash();
        let id = TokenId::new(Uuid::now_v7());
        let token = NewToken {
            id,
            owner: self.owner,
            name: Name::parse("CI Pipeline").unwrap(),
            abilities: abilities(["calls:read", "calls:write"]),
            hash,
            hint: secret.hint(),
            created_at: Timestamp::from_unix(1),
            expires_at: None,
            environment: None,
            family: id,
            rotated_from: None,
            limits: None,
            annotations: None,
            is_canary: false,
        };
        block_on(self.store.add_token(token, 1000, by())).unwrap();
        secret
    }
}

fn by() -> Attribution {
    Attribution { origin: RequestSource::COMMAND_LINE, at: Timestamp::from_unix(1) }
}

fn policy() -> Policy {
    let rule = |area| Rule {
        methods: vec!["GET".to_owned()],
        paths: vec![PathPattern::parse(&format!("/area{area}/calls/**")).unwrap()],
        access: Access::Credential {
            kinds: vec![CredentialKind::PersonalAccessToken],
            abilities: vec![Ability::parse("calls:read").unwrap()],
        },
    };
    Policy::new("bench", (0..20).map(rule).collect()).unwrap()
}

fn abilities<const N: usize>(texts: [&str; N]) -> Abilities {
    Abilities::new(texts.map(|text| Ability::parse(text).unwrap())).unwrap()
}

fn prefixes() -> Prefixes {
    Prefixes::new("ses_", "pat_", "talq_").unwrap()
}

fn secret() -> Plaintext {
    Plaintext::generate(CredentialKind::PersonalAccessToken, &prefixes()).unwrap()
}

/// The answer of a future that must be ready.
fn ready<F: Future + Unpin>(future: &mut F) -> F::Output {
    match Pin::new(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(answer) => answer,
        Poll::Pending => panic!("the future was not ready"),
    }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}
