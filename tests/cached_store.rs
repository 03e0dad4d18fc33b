//! The cache against a store that can be held between reading and answering, and against other processes on its file.

#![expect(clippy::unwrap_used, reason = "a failed test is told by its panic")]

use std::{
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
        mpsc,
    },
    task::{Context, Poll, Waker},
    thread,
    time::{Duration, Instant},
};

use futures_util::{FutureExt, future::join_all};
use patd::{
    config::{Config, Sources},
    domain::{
        ability::Abilities,
        account::{Email, PasswordHash, User},
        audit::{Attribution, RequestSource},
        id::{EnvironmentId, SessionId, TokenId, UserId},
        secret::{CredentialKind, Plaintext, Prefixes, TokenHash},
        session::{NewSession, Session, SessionRecord},
        text::Name,
        time::Timestamp,
        token::{NewToken, RevocationReason, TokenRecord},
    },
    ops::{
        self,
        clock::Clock,
        verification::{self, Caller},
    },
    store::{
        Backend, CredentialSource, Credentials, Observer, Reply, SignIn, Store, StoreError, Uses,
        cache::{Capacity, CredentialCache},
        sqlite::{Access, SqliteSettings, SqliteStore},
    },
};
use tempfile::TempDir;
use uuid::Uuid;

/// How old an answer may be where another process made the change.
const STALENESS: Duration = Duration::from_millis(100);

/// Look-ups that are counted, and of which one can be held between its SELECT and its answer.
struct Inner {
    store: Arc<SqliteStore>,
    look_ups: AtomicUsize,
    fails: AtomicBool,
    /// What holds the next look-up, on its own thread: it says that it has read, and waits.
    hold: Mutex<Option<(mpsc::Sender<()>, mpsc::Receiver<()>)>>,
    /// Makes the next look-ups wait for one another: they are answered once it is released.
    pending: Mutex<Option<Arc<tokio::sync::Semaphore>>>,
}

impl Inner {
    fn answer<'s, T: Send + 's>(&self, read: impl FnOnce() -> Reply<'s, T> + Send + 's) -> Reply<'s, T> {
        self.look_ups.fetch_add(1, Ordering::SeqCst);
        if self.fails.load(Ordering::SeqCst) {
            return Reply::ready(Err(StoreError::Unavailable("on purpose".into())));
        }
        if let Some(gate) = &*self.pending.lock().unwrap() {
            let gate = Arc::clone(gate);
            return Reply::Pending(Box::pin(async move {
                // It reads first, and is late with its answer.
                let Reply::Ready(Some(answer)) = read() else { panic!("in place") };
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
struct Rig {
    cache: CredentialCache,
    store: Arc<SqliteStore>,
    inner: Arc<Inner>,
    ada: User,
    directory: TempDir,
}

impl Rig {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("patd.db");
        let store = Arc::new(SqliteStore::open(&settings(path), Access::Server).unwrap());
        let inner = Arc::new(Inner {
            store: Arc::clone(&store),
            look_ups: AtomicUsize::new(0),
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
        };
        wait(store.add_user(ada.clone(), password(), by())).unwrap();
        let rig = Self { cache, store, inner, ada, directory };
        rig.wait_until_coherent();
        rig
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("patd.db")
    }

    /// Another process on the file.
    fn command_line(&self) -> SqliteStore {
        SqliteStore::open(&settings(self.path()), Access::Existing).unwrap()
    }

    fn new_token(&self) -> NewToken {
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
        }
    }

    fn token(&self) -> (TokenId, TokenHash) {
        let token = self.new_token();
        let (id, hash) = (token.id, token.hash);
        wait(self.store.add_token(token, 1000, by())).unwrap();
        (id, hash)
    }

    /// A token that the cache has.
    fn warm_token(&self) -> (TokenId, TokenHash) {
        let (id, hash) = self.token();
        // On a slow machine the store is not coherent at once, and then nothing is served from memory.
        let is_warm = (0..1000).any(|_| self.look_ups(|| assert!(self.is_live(&hash))) == 0);
        assert!(is_warm, "it is kept");
        (id, hash)
    }

    fn is_live(&self, hash: &TokenHash) -> bool {
        let found = wait(self.cache.token_by_hash(hash)).unwrap();
        found.is_some_and(|record| record.token.revoked.is_none() && record.owner.disabled_at.is_none())
    }

    fn look_ups(&self, work: impl FnOnce()) -> usize {
        let before = self.inner.look_ups.load(Ordering::SeqCst);
        work();
        self.inner.look_ups.load(Ordering::SeqCst) - before
    }

    fn revoke(&self, id: TokenId) {
        wait(self.store.revoke_token(self.ada.id, id, REASON, by())).unwrap();
    }

    /// Waits until the store is coherent: before that, nothing is served from memory.
    fn wait_until_coherent(&self) {
        eventually(|| self.store.is_coherent());
    }
}

fn settings(path: PathBuf) -> SqliteSettings {
    SqliteSettings {
        path,
        readers: 4,
        pool_timeout: Duration::from_secs(2),
        busy_timeout: Duration::from_secs(5),
        write_queue: 4096,
    }
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_unix(seconds)
}

const REASON: RevocationReason = RevocationReason::RevokedByOwner;

fn by() -> Attribution {
    Attribution { origin: RequestSource::COMMAND_LINE, at: at(2) }
}

fn password() -> PasswordHash {
    PasswordHash::new("$argon2id$".to_owned())
}

fn secret(kind: CredentialKind) -> Plaintext {
    Plaintext::generate(kind, &Prefixes::new("ses_", "pat_", "talq_").unwrap()).unwrap()
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

fn wait<T: Unpin>(reply: Reply<'_, T>) -> Result<T, StoreError> {
    block_on(reply)
}

#[track_caller]
fn eventually(mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < Duration::from_secs(10), "it never came");
        thread::yield_now();
    }
}

/// That `outdated` ends in time after a change that another process made before `since`.
#[track_caller]
fn ends_in_time(since: Instant, mut outdated: impl FnMut() -> bool) {
    loop {
        let begun = Instant::now();
        if !outdated() {
            return;
        }
        assert!(begun - since <= STALENESS, "an answer of {:?} ago", begun - since);
    }
}

/// Looks `hash` up on another thread, and does `meanwhile` when it has read and before it is answered.
fn while_a_look_up_is_held(rig: &Rig, hash: &TokenHash, meanwhile: impl FnOnce()) {
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

#[test]
fn a_record_that_was_read_before_a_revocation_is_never_served_after_its_answer() {
    let rig = Rig::new();
    let (id, hash) = rig.token();
    while_a_look_up_is_held(&rig, &hash, || rig.revoke(id));
    assert!(!rig.is_live(&hash), "the fill that crossed the revocation was served");
}

#[test]
fn an_absence_that_was_read_before_an_addition_is_never_served_after_its_answer() {
    let rig = Rig::new();
    let token = rig.new_token();
    let hash = token.hash;
    while_a_look_up_is_held(&rig, &hash, || drop(wait(rig.store.add_token(token, 1000, by())).unwrap()));
    assert!(rig.is_live(&hash));
}

#[test]
fn a_record_that_was_read_before_its_owner_was_disabled_is_never_served_after_the_answer() {
    let rig = Rig::new();
    let (_, hash) = rig.token();
    while_a_look_up_is_held(&rig, &hash, || drop(wait(rig.store.disable_user(rig.ada.id, by())).unwrap()));
    assert!(!rig.is_live(&hash));
}

#[test]
fn a_record_that_was_read_before_another_process_changed_it_is_not_served_for_long() {
    let rig = Rig::new();
    let (id, hash) = rig.token();
    let other = rig.command_line();
    while_a_look_up_is_held(&rig, &hash, || drop(wait(other.revoke_token(rig.ada.id, id, REASON, by())).unwrap()));
    ends_in_time(Instant::now(), || rig.is_live(&hash));
}

#[test]
fn a_known_secret_and_an_unknown_one_are_looked_up_once() {
    let rig = Rig::new();
    let (_, hash) = rig.token();
    let unknown = secret(CredentialKind::PersonalAccessToken).hash();
    let asked = rig.look_ups(|| {
        for _ in 0..5 {
            assert!(rig.is_live(&hash));
            assert!(!rig.is_live(&unknown));
        }
    });
    assert_eq!(asked, 2);
}

#[test]
fn a_change_costs_a_look_up_of_what_it_touched_alone() {
    let rig = Rig::new();
    let ((id, touched), (_, other)) = (rig.warm_token(), rig.warm_token());
    let unknown = secret(CredentialKind::PersonalAccessToken).hash();
    assert!(!rig.is_live(&unknown));
    let name = Name::parse("renamed").unwrap();
    wait(rig.store.rename_token(rig.ada.id, id, name.clone(), by())).unwrap();
    assert_eq!(rig.look_ups(|| assert!(rig.is_live(&other) && !rig.is_live(&unknown))), 0);
    let found = wait(rig.cache.token_by_hash(&touched)).unwrap().unwrap();
    assert_eq!(found.token.name, name);
}

#[test]
fn a_revocation_whose_caller_left_counts_once_it_is_made() {
    let rig = Rig::new();
    // Once while the write waits in its queue, and once at any moment of its way.
    for patience in [Duration::ZERO, Duration::from_micros(50), Duration::from_micros(300), Duration::from_millis(1)] {
        for _ in 0..25 {
            let (id, hash) = rig.warm_token();
            let mut revocation = rig.store.revoke_token(rig.ada.id, id, REASON, by());
            let begun = Instant::now();
            let mut cx = Context::from_waker(Waker::noop());
            let mut answered = false;
            while !answered && begun.elapsed() < patience {
                answered = matches!(std::pin::Pin::new(&mut revocation).poll(&mut cx), Poll::Ready(_));
            }
            drop(revocation);
            // The writer takes one after the other: when this is answered, that has its fate.
            wait(rig.store.record_uses(Uses::default())).unwrap();
            let made = wait(rig.store.token(id)) == Err(StoreError::NotFound);
            assert_eq!(rig.is_live(&hash), !made);
            assert!(made || !answered);
        }
    }
}

#[test]
fn a_look_up_that_fails_is_not_kept() {
    let rig = Rig::new();
    let (_, hash) = rig.token();
    rig.inner.fails.store(true, Ordering::SeqCst);
    assert!(wait(rig.cache.token_by_hash(&hash)).is_err());
    rig.inner.fails.store(false, Ordering::SeqCst);
    assert!(rig.is_live(&hash));
}

#[test]
fn look_ups_of_one_secret_that_are_under_way_are_one() {
    let rig = Rig::new();
    let (_, hash) = rig.token();
    let gate = Arc::new(tokio::sync::Semaphore::new(0));
    *rig.inner.pending.lock().unwrap() = Some(Arc::clone(&gate));
    let found = block_on(async {
        let asking = join_all((0..64).map(|_| rig.cache.token_by_hash(&hash)));
        let opening = async {
            tokio::task::yield_now().await;
            // One permit: were there two look-ups, this would never end.
            gate.add_permits(1);
        };
        tokio::join!(asking, opening).0
    });
    assert!(found.iter().all(|found| found.as_ref().unwrap().is_some()));
}

#[test]
fn who_asks_after_a_revocation_does_not_get_the_answer_of_a_look_up_before_it() {
    let rig = Rig::new();
    let (id, hash) = rig.token();
    let gate = Arc::new(tokio::sync::Semaphore::new(0));
    *rig.inner.pending.lock().unwrap() = Some(Arc::clone(&gate));
    block_on(async {
        let mut before = Box::pin(rig.cache.token_by_hash(&hash));
        assert!((&mut before).now_or_never().is_none());
        rig.store.revoke_token(rig.ada.id, id, REASON, by()).await.unwrap();
        let mut after = Box::pin(rig.cache.token_by_hash(&hash));
        assert!((&mut after).now_or_never().is_none(), "it waits for the one before");
        gate.add_permits(2);
        let (before, after) = tokio::join!(before, after);
        assert!(before.unwrap().unwrap().token.revoked.is_none(), "it was asked for before");
        assert!(after.unwrap().unwrap().token.revoked.is_some());
    });
}

#[test]
fn a_look_up_whose_maker_leaves_is_made_by_who_waits() {
    let rig = Rig::new();
    let (_, hash) = rig.token();
    let gate = Arc::new(tokio::sync::Semaphore::new(0));
    *rig.inner.pending.lock().unwrap() = Some(Arc::clone(&gate));
    block_on(async {
        let mut first = Box::pin(rig.cache.token_by_hash(&hash));
        assert!((&mut first).now_or_never().is_none());
        let mut second = Box::pin(rig.cache.token_by_hash(&hash));
        assert!((&mut second).now_or_never().is_none());
        drop(first);
        gate.add_permits(1);
        assert!(second.await.unwrap().is_some());
    });
}

#[test]
fn what_another_process_changes_is_seen_in_a_tenth_of_a_second() {
    let rig = Rig::new();
    let other = rig.command_line();
    for _ in 0..10 {
        let ((id, revoked), added) = (rig.warm_token(), rig.new_token());
        let hash = added.hash;
        assert!(!rig.is_live(&hash));
        wait(other.revoke_token(rig.ada.id, id, REASON, by())).unwrap();
        ends_in_time(Instant::now(), || rig.is_live(&revoked));
        wait(other.add_token(added, 1000, by())).unwrap();
        ends_in_time(Instant::now(), || !rig.is_live(&hash));
    }
    let (_, hash) = rig.warm_token();
    wait(other.disable_user(rig.ada.id, by())).unwrap();
    ends_in_time(Instant::now(), || rig.is_live(&hash));
}

#[test]
fn changes_of_ones_own_are_no_other_processes() {
    let rig = Rig::new();
    let (_, hash) = rig.warm_token();
    for _ in 0..50 {
        rig.token();
    }
    rig.wait_until_coherent();
    assert_eq!(rig.look_ups(|| assert!(rig.is_live(&hash))), 0);
}

#[test]
fn where_the_writer_is_held_up_nothing_is_served_from_memory_for_long() {
    let rig = Rig::new();
    let (id, hash) = rig.warm_token();
    let other = rusqlite::Connection::open(rig.path()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    // The server's own write waits for it, and with it the thread that looks for others' changes.
    let waiting = rig.store.rename_token(rig.ada.id, id, Name::parse("later").unwrap(), by());
    ends_in_time(Instant::now(), || rig.store.is_coherent());
    for _ in 0..3 {
        assert_eq!(rig.look_ups(|| assert!(rig.is_live(&hash))), 1, "the store is asked each time");
    }
    drop(other);
    wait(waiting).unwrap();
    rig.wait_until_coherent();
}

#[test]
fn a_file_that_vanished_answers_nothing_from_memory_for_long() {
    let rig = Rig::new();
    let (_, hash) = rig.warm_token();
    let elsewhere = rig.directory.path().join("moved");
    std::fs::rename(rig.path(), &elsewhere).unwrap();
    ends_in_time(Instant::now(), || wait(rig.cache.token_by_hash(&hash)).is_ok());
    std::fs::rename(&elsewhere, rig.path()).unwrap();
    eventually(|| wait(rig.cache.token_by_hash(&hash)).is_ok());
}

#[test]
fn a_session_that_is_used_stays_alive_however_long_its_record_is_kept() {
    let rig = Rig::new();
    let day = Duration::from_hours(24);
    let time = Arc::new(std::sync::atomic::AtomicI64::new(1_000_000));
    let told = Arc::clone(&time);
    let config = Config::load(Sources {
        flags: vec![("passwords.memory_kib", "8".into()), ("passwords.iterations", "1".into())],
        ..Sources::default()
    })
    .unwrap();
    let Rig { cache, store, ada, directory: _directory, .. } = rig;
    let backend = Backend { store, credentials: Arc::new(cache) };
    let ctx = ops::Context::new(&config, backend, Clock::new(move || at(told.load(Ordering::SeqCst)))).unwrap();
    let plaintext = secret(CredentialKind::Session);
    let session = Session {
        id: SessionId::new(Uuid::now_v7()),
        user: ada.id,
        device_name: None,
        created_at: ctx.clock.now(),
        last_used_at: ctx.clock.now(),
        expires_at: ctx.clock.now().plus(25 * day),
    };
    let sign_in =
        SignIn { session: NewSession { session, hash: plaintext.hash() }, verified: password(), rehashed: None };
    block_on(async {
        ctx.store.sign_in(sign_in, by()).await.unwrap();
        let advance = |days: i64| time.fetch_add(days * 86_400, Ordering::SeqCst);
        // It is idle after seven days.
        for _ in 0..4 {
            verification::authenticate(&ctx, plaintext.expose(), Caller::default()).await.unwrap();
            ctx.flush_uses().await.unwrap();
            advance(6);
        }
        verification::authenticate(&ctx, plaintext.expose(), Caller::default()).await.unwrap();
        advance(7);
        let refused = verification::authenticate(&ctx, plaintext.expose(), Caller::default()).await.unwrap_err();
        assert!(matches!(refused, ops::Error::Rejected(_)), "{refused}");
    });
}
