//! Times of last use: they are shown at once, written a little later, and not lost if the cache evicts the record.

#![expect(clippy::unwrap_used, reason = "a panic fails the test")]

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use futures_util::future::join_all;
use patd::{
    config::{Config, Sources},
    domain::{
        ability::Abilities,
        account::{Email, PasswordHash, Role, User},
        audit::{Attribution, RequestSource},
        id::{EnvironmentId, TokenId, UserId},
        secret::{CredentialKind, Plaintext, Prefixes},
        text::Name,
        time::Timestamp,
        token::NewToken,
    },
    ops::{
        Context,
        clock::Clock,
        state::uses,
        tokens,
        verification::{self, Caller},
    },
    store::{
        Access, Backend, Store, TokenChange,
        cache::Capacity,
        sqlite::{SqliteSettings, SqliteStore},
    },
};
use tempfile::TempDir;
use uuid::Uuid;

fn by() -> Attribution {
    Attribution { origin: RequestSource::COMMAND_LINE, at: Timestamp::from_unix(1) }
}

/// Operations over a store with a small cache, and a clock that the test sets.
struct Rig {
    ctx: Context,
    /// The same store without the cache.
    store: Arc<SqliteStore>,
    owner: UserId,
    time: Arc<AtomicI64>,
    _directory: TempDir,
}

impl Rig {
    async fn new(capacity: usize) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let settings = SqliteSettings {
            path: directory.path().join("patd.db"),
            readers: 2,
            pool_timeout: Duration::from_secs(2),
            busy_timeout: Duration::from_secs(5),
            write_queue: 4096,
        };
        let store = Arc::new(SqliteStore::open(&settings, Access::Server).unwrap());
        let capacity = Capacity { tokens: capacity, sessions: 1, unknown: 1 };
        let backend = Backend::with_cache(Arc::clone(&store), capacity);
        let config = Config::load(Sources {
            flags: vec![("passwords.memory_kib", "8".into()), ("passwords.iterations", "1".into())],
            ..Sources::default()
        })
        .unwrap();
        let time = Arc::new(AtomicI64::new(1_000_000));
        let clock_time = Arc::clone(&time);
        let clock = Clock::new(move || Timestamp::from_unix(clock_time.load(Ordering::SeqCst)));
        let owner = User {
            id: UserId::new(Uuid::now_v7()),
            name: Name::parse("Ada").unwrap(),
            email: Email::parse("ada@example.com").unwrap(),
            created_at: Timestamp::from_unix(1),
            disabled_at: None,
            current_environment: EnvironmentId::new(Uuid::now_v7()),
            role: Role::Member,
        };
        store.add_user(owner.clone(), PasswordHash::new("$argon2id$".to_owned()), by()).await.unwrap();
        let ctx = Context::new(&config, backend, clock).unwrap();
        Self { ctx, store, owner: owner.id, time, _directory: directory }
    }

    async fn token(&self) -> (TokenId, Plaintext) {
        let prefixes = Prefixes::new("ses_", "pat_", "talq_").unwrap();
        let plaintext = Plaintext::generate(CredentialKind::PersonalAccessToken, &prefixes).unwrap();
        let id = TokenId::new(Uuid::now_v7());
        let token = NewToken {
            id,
            owner: self.owner,
            name: Name::parse("ci").unwrap(),
            abilities: Abilities::full(),
            hash: plaintext.hash(),
            hint: plaintext.hint(),
            created_at: Timestamp::from_unix(1),
            expires_at: None,
            environment: None,
            family: id,
            rotated_from: None,
            limits: None,
            annotations: None,
            is_canary: false,
        };
        self.store.add_token(token, u32::MAX, by()).await.unwrap();
        (id, plaintext)
    }

    async fn check(&self, token: &Plaintext) {
        verification::authenticate(&self.ctx, token.expose(), Caller::default()).await.unwrap();
    }

    /// Moves the clock by one second. Returns the new time.
    fn advance(&self) -> i64 {
        self.time.fetch_add(1, Ordering::SeqCst) + 1
    }

    async fn shown(&self, id: TokenId) -> Option<i64> {
        tokens::get(&self.ctx, self.owner, id).await.unwrap().last_used_at.map(Timestamp::unix)
    }

    async fn stored(&self, id: TokenId) -> Option<i64> {
        self.store.token(id).await.unwrap().last_used_at.map(Timestamp::unix)
    }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

#[test]
fn all_turns_together_write_every_use_of_evicted_records() {
    block_on(async {
        // The cache can hold only a few of the tokens. There are enough tokens that each turn writes some.
        let rig = Rig::new(10).await;
        let mut used = Vec::new();
        for (id, token) in join_all((0..1100).map(|_| rig.token())).await {
            used.push((id, rig.advance()));
            rig.check(&token).await;
        }
        for (id, at) in &used {
            assert_eq!((rig.shown(*id).await, rig.stored(*id).await), (Some(*at), None));
        }
        for _ in 0..uses::TURNS {
            rig.ctx.flush_some_uses().await.unwrap();
        }
        for (id, at) in &used {
            assert_eq!((rig.shown(*id).await, rig.stored(*id).await), (Some(*at), Some(*at)));
        }
    });
}

#[test]
fn a_change_of_a_token_does_not_lose_its_last_use() {
    block_on(async {
        let rig = Rig::new(10).await;
        let (id, token) = rig.token().await;
        rig.check(&token).await;
        let before = rig.advance();
        rig.check(&token).await;
        let renamed = tokens::change(
            &rig.ctx,
            rig.owner,
            id,
            TokenChange::rename(Name::parse("renamed").unwrap()),
            RequestSource::COMMAND_LINE,
        )
        .await
        .unwrap();
        assert_eq!(renamed.token.last_used_at.map(Timestamp::unix), Some(before));
        assert_eq!(rig.shown(id).await, Some(before));
        rig.ctx.flush_uses().await.unwrap();
        assert_eq!(rig.stored(id).await, Some(before));
        // The rename invalidated the cached record. Uses are also recorded in the new one.
        let after = rig.advance();
        rig.check(&token).await;
        assert_eq!(rig.shown(id).await, Some(after));
        rig.ctx.flush_uses().await.unwrap();
        assert_eq!(rig.stored(id).await, Some(after));
    });
}
