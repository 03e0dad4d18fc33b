//! A cache over a store whose lookups can be counted and delayed.

use super::*;

/// How old an answer may be if another process made the change.
pub(super) const STALENESS: Duration = Duration::from_millis(100);

/// Counts lookups, and can delay one between its SELECT and its answer.
pub(super) struct Inner {
    pub(super) store: Arc<SqliteStore>,
    pub(super) lookups: AtomicUsize,
    pub(super) fails: AtomicBool,
    /// Blocks the thread of the next lookup: it signals that it has read, and waits.
    pub(super) hold: Mutex<Option<(mpsc::Sender<()>, mpsc::Receiver<()>)>>,
    /// Makes the next lookups pending. Each takes one permit before it answers.
    pub(super) pending: Mutex<Option<Arc<tokio::sync::Semaphore>>>,
}

impl Inner {
    pub(super) fn answer<'s, T: Send + 's>(&self, read: impl FnOnce() -> Reply<'s, T> + Send + 's) -> Reply<'s, T> {
        self.lookups.fetch_add(1, Ordering::SeqCst);
        if self.fails.load(Ordering::SeqCst) {
            return Reply::ready(Err(StoreError::Unavailable("on purpose".into())));
        }
        if let Some(gate) = &*self.pending.lock().unwrap() {
            let gate = Arc::clone(gate);
            return Reply::Pending(Box::pin(async move {
                // The read comes first, so that the answer can be outdated.
                let Reply::Ready(Some(answer)) = read() else { panic!("the store did not answer in place") };
                gate.acquire().await.unwrap().forget();
                answer
            }));
        }
        let answer = read();
        if let Some((has_read, go_on)) = self.hold.lock().unwrap().take() {
            has_read.send(()).unwrap();
            go_on.recv().unwrap();
        }
        answer
    }
}

impl Credentials for Inner {
    fn session_by_hash(&self, hash: &TokenHash) -> Reply<'_, Option<Arc<SessionRecord>>> {
        let hash = *hash;
        self.answer(move || self.store.session_by_hash(&hash))
    }

    fn token_by_hash(&self, hash: &TokenHash) -> Reply<'_, Option<Arc<TokenRecord>>> {
        let hash = *hash;
        self.answer(move || self.store.token_by_hash(&hash))
    }
}

impl CredentialSource for Inner {
    fn observe(&self, observer: Observer) {
        self.store.observe(observer);
    }

    fn is_coherent(&self) -> bool {
        self.store.is_coherent()
    }
}

/// A cache over a store over a file, with one user.
pub(super) struct Rig {
    pub(super) cache: CredentialCache,
    pub(super) store: Arc<SqliteStore>,
    pub(super) inner: Arc<Inner>,
    pub(super) ada: User,
    pub(super) directory: TempDir,
}

impl Rig {
    pub(super) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("patd.db");
        let store = Arc::new(SqliteStore::open(&settings(path), Access::Server).unwrap());
        let inner = Arc::new(Inner {
            store: Arc::clone(&store),
            lookups: AtomicUsize::new(0),
            fails: AtomicBool::new(false),
            hold: Mutex::default(),
            pending: Mutex::default(),
        });
        let capacity = Capacity { tokens: 1000, sessions: 1000, unknown: 1000 };
        let cache = CredentialCache::new(Arc::clone(&inner) as Arc<dyn CredentialSource>, capacity);
        let ada = User {
            id: UserId::new(Uuid::now_v7()),
            name: Name::parse("Ada").unwrap(),
            email: Email::parse("ada@example.com").unwrap(),
            created_at: at(1),
            disabled_at: None,
            current_environment: EnvironmentId::new(Uuid::now_v7()),
            role: patd::domain::account::Role::Member,
        };
        wait(store.add_user(ada.clone(), password(), by())).unwrap();
        let rig = Self { cache, store, inner, ada, directory };
        rig.wait_until_coherent();
        rig
    }

    pub(super) fn path(&self) -> PathBuf {
        self.directory.path().join("patd.db")
    }

    /// A store that changes the file as another process does.
    pub(super) fn command_line(&self) -> SqliteStore {
        SqliteStore::open(&settings(self.path()), Access::Existing).unwrap()
    }

    pub(super) fn new_token(&self) -> NewToken {
        let plaintext = secret(CredentialKind::PersonalAccessToken);
        let id = TokenId::new(Uuid::now_v7());
        NewToken {
            id,
            environment: None,
            family: id,
            rotated_from: None,
            owner: self.ada.id,
            name: Name::parse("ci").unwrap(),
            abilities: Abilities::full(),
            hash: plaintext.hash(),
            hint: plaintext.hint(),
            created_at: at(1),
            expires_at: None,
            limits: None,
            annotations: None,
            is_canary: false,
        }
    }

    pub(super) fn token(&self) -> (TokenId, TokenHash) {
        let token = self.new_token();
        let (id, hash) = (token.id, token.hash);
        wait(self.store.add_token(token, 1000, by())).unwrap();
        (id, hash)
    }

    /// A token that is in the cache.
    pub(super) fn warm_token(&self) -> (TokenId, TokenHash) {
        let (id, hash) = self.token();
        // On a slow machine the store is not coherent at once, and then nothing is served from memory.
        let is_warm = (0..1000).any(|_| self.lookups(|| assert!(self.is_live(&hash))) == 0);
        assert!(is_warm, "the record was never cached");
        (id, hash)
    }

    pub(super) fn is_live(&self, hash: &TokenHash) -> bool {
        let found = wait(self.cache.token_by_hash(hash)).unwrap();
        found.is_some_and(|record| record.token.revoked.is_none() && record.owner.disabled_at().is_none())
    }

    pub(super) fn lookups(&self, work: impl FnOnce()) -> usize {
        let before = self.inner.lookups.load(Ordering::SeqCst);
        work();
        self.inner.lookups.load(Ordering::SeqCst) - before
    }

    pub(super) fn revoke(&self, id: TokenId) {
        wait(self.store.revoke_token(self.ada.id, id, REASON, by())).unwrap();
    }

    /// Waits until the store is coherent: before that, nothing is served from memory.
    pub(super) fn wait_until_coherent(&self) {
        eventually(|| self.store.is_coherent());
    }
}

pub(super) fn settings(path: PathBuf) -> SqliteSettings {
    SqliteSettings {
        path,
        readers: 4,
        pool_timeout: Duration::from_secs(2),
        busy_timeout: Duration::from_secs(5),
        write_queue: 4096,
    }
}

pub(super) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_unix(seconds)
}

pub(super) const REASON: RevocationReason = RevocationReason::RevokedByOwner;

pub(super) fn by() -> Attribution {
    Attribution { origin: RequestSource::COMMAND_LINE, at: at(2) }
}

pub(super) fn password() -> PasswordHash {
    PasswordHash::new("$argon2id$".to_owned())
}

pub(super) fn secret(kind: CredentialKind) -> Plaintext {
    Plaintext::generate(kind, &Prefixes::new("ses_", "pat_", "talq_").unwrap()).unwrap()
}

pub(super) fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

pub(super) fn wait<T: Unpin>(reply: Reply<'_, T>) -> Result<T, StoreError> {
    block_on(reply)
}

#[track_caller]
pub(super) fn eventually(mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < Duration::from_secs(10), "the condition did not become true within 10 s");
        thread::yield_now();
    }
}

/// Checks that `outdated` becomes false within [`STALENESS`] of a change by another process at `since`.
#[track_caller]
pub(super) fn assert_ends_in_time(since: Instant, mut outdated: impl FnMut() -> bool) {
    loop {
        let begun = Instant::now();
        if !outdated() {
            return;
        }
        assert!(begun - since <= STALENESS, "still outdated after {:?}", begun - since);
    }
}

/// Looks up `hash` on another thread. Runs `meanwhile` after the read and before the answer.
pub(super) fn during_a_delayed_lookup(rig: &Rig, hash: &TokenHash, meanwhile: impl FnOnce()) {
    let (has_read, read) = mpsc::channel();
    let (go_on, held) = mpsc::channel();
    *rig.inner.hold.lock().unwrap() = Some((has_read, held));
    thread::scope(|scope| {
        let filling = scope.spawn(|| wait(rig.cache.token_by_hash(hash)));
        read.recv().unwrap();
        meanwhile();
        go_on.send(()).unwrap();
        filling.join().unwrap().unwrap();
    });
}
