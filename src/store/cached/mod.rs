//! A store with a memory: it keeps the *records* that look-ups by secret answered, and that there are none.
//!
//! Never a verdict: expiry, abilities and the owner's state are judged at each use. A record is served only while it is
//! what the store would answer. Three things see to that:
//!
//! 1. Every change is told of by the store that makes it ([`Store::observe`]), once it can be read and before its answer,
//!    whoever asked for it and whether they still wait. [`epochs`] then voids what was read before, be it in the cache
//!    or still on its way into it. No write can go round this, since the store itself tells.
//! 2. What others change, past this store, is told of as well; and where that may be more than a tenth of a second late,
//!    the store does not vouch ([`Store::is_coherent`]), and every look-up is the store's.
//! 3. A look-up that fails is kept nowhere.
//!
//! Memory is bounded by [`Capacity`]; beyond it, the records that are asked for least are forgotten, and what is
//! forgotten is looked up again.

mod epochs;
mod singleflight;

use std::sync::Arc;

use quick_cache::sync::Cache;

use self::{epochs::Epochs, singleflight::Calls};
use super::{
    Change, EachToken, EachUser, EnvironmentQuery, LeakReport, Observer, PasswordChange, ProfileChange, PruneBatch,
    Reply, RetentionCutoff, Rotation, SessionQuery, SignIn, Store, StoreError, Successors, TokenInventory, TokenQuery,
    TokenSelection, UserInventory, Uses,
};
use crate::domain::{
    account::{Email, HashParameters, PasswordHash, User, UserCredentials},
    attempts::{Counter, SavedAttempts},
    audit::{Attribution, Entry, Event},
    environment::{Environment, EnvironmentAccess, Member, MemberRole, Successor},
    id::{EnvironmentId, SessionId, TokenId, UserId},
    secret::TokenHash,
    session::{Session, SessionRecord},
    text::Name,
    time::Timestamp,
    token::{NewToken, RevocationReason, Token, TokenRecord},
    use_origin::UseLocation,
};

/// How much is kept.
#[derive(Clone, Copy, Debug)]
pub struct Capacity {
    /// Tokens, with their owners.
    pub tokens: usize,
    /// Sessions, with their persons.
    pub sessions: usize,
    /// Secrets that no token has, and as many that no session has.
    pub unknown: usize,
}

/// A store that remembers what it was asked by secret.
pub struct Cached {
    store: Arc<dyn Store>,
    epochs: Arc<Epochs>,
    tokens: RecordCache<TokenRecord>,
    sessions: RecordCache<SessionRecord>,
}

impl Cached {
    /// Puts a memory before `store`.
    pub fn new(store: Arc<dyn Store>, capacity: Capacity) -> Self {
        let epochs = Arc::new(Epochs::new());
        let told = Arc::clone(&epochs);
        store.observe(Box::new(move |change| told.changed(change)));
        Self {
            store,
            epochs,
            tokens: RecordCache::new(capacity.tokens, capacity.unknown),
            sessions: RecordCache::new(capacity.sessions, capacity.unknown),
        }
    }

    fn look_up<'s, R: Record>(
        &'s self,
        cache: &'s RecordCache<R>,
        hash: &TokenHash,
        ask: Ask<'s, R>,
    ) -> Reply<'s, Option<Arc<R>>> {
        // The store vouches for what it told until then, so it is asked before the epochs are.
        if self.store.is_coherent()
            && let Some(found) = cache.find(hash, &self.epochs)
        {
            return Reply::ready(Ok(found));
        }
        let since = self.epochs.now();
        match ask(&*self.store, hash) {
            // A look-up that is answered in place is over before another could join it.
            Reply::Ready(answer) => {
                if let Some(Ok(found)) = &answer {
                    cache.keep(*hash, found, since);
                }
                Reply::Ready(answer)
            }
            // Nothing has begun yet: a future does nothing before it is polled.
            pending => Reply::Pending(Box::pin(self.look_up_together(cache, *hash, since, pending, ask))),
        }
    }

    async fn look_up_together<'s, R: Record>(
        &'s self,
        cache: &'s RecordCache<R>,
        hash: TokenHash,
        since: u64,
        own: Reply<'s, Option<Arc<R>>>,
        ask: Ask<'s, R>,
    ) -> Result<Option<Arc<R>>, StoreError> {
        let waiter = cache.calls.join(hash, since);
        let mut is_own = false;
        let answer = waiter.call.answer.get_or_init(|| {
            is_own = true;
            own
        });
        let found = answer.await.clone()?;
        let since = waiter.call.since;
        // Somebody else's look-up may have begun before a change that was answered before this one began.
        if is_own || self.store.is_coherent() && R::is_current(found.as_deref(), &hash, since, &self.epochs) {
            cache.keep(hash, &found, since);
            return Ok(found);
        }
        drop(waiter);
        ask(&*self.store, &hash).await
    }
}

type Ask<'s, R> = fn(&'s dyn Store, &TokenHash) -> Reply<'s, Option<Arc<R>>>;

/// What can be kept.
trait Record: Send + Sync + 'static {
    /// Whether what was read since the epoch `since` is what would be read now.
    fn is_current(found: Option<&Self>, hash: &TokenHash, since: u64, epochs: &Epochs) -> bool;
}

impl Record for TokenRecord {
    fn is_current(found: Option<&Self>, hash: &TokenHash, since: u64, epochs: &Epochs) -> bool {
        match found {
            Some(Self { token, owner, .. }) => {
                epochs.unchanged_since(since, [Change::Token(token.id), Change::User(owner.id), Change::Anything])
            }
            None => epochs.unchanged_since(since, [Change::Added(*hash), Change::Anything]),
        }
    }
}

impl Record for SessionRecord {
    fn is_current(found: Option<&Self>, hash: &TokenHash, since: u64, epochs: &Epochs) -> bool {
        match found {
            Some(Self { session, user, .. }) => epochs.unchanged_since(
                since,
                [Change::Session(session.id), Change::User(user.id), Change::Sessions, Change::Anything],
            ),
            None => epochs.unchanged_since(since, [Change::Added(*hash), Change::Anything]),
        }
    }
}

/// The records of one kind, each with the epoch before it was read. Those that no longer hold stay until they are read
/// anew or make room.
struct RecordCache<R> {
    known: Cache<TokenHash, (Arc<R>, u64)>,
    /// Apart, so that a flood of made-up tokens pushes no real one out.
    unknown: Cache<TokenHash, u64>,
    calls: Calls<Option<Arc<R>>>,
}

impl<R: Record> RecordCache<R> {
    fn new(known: usize, unknown: usize) -> Self {
        Self { known: Cache::new(known), unknown: Cache::new(unknown), calls: Calls::default() }
    }

    /// What is kept and holds: a record, or that there is none.
    fn find(&self, hash: &TokenHash, epochs: &Epochs) -> Option<Option<Arc<R>>> {
        if let Some((record, since)) = self.known.get(hash)
            && R::is_current(Some(&record), hash, since, epochs)
        {
            return Some(Some(record));
        }
        let since = self.unknown.get(hash)?;
        R::is_current(None, hash, since, epochs).then_some(None)
    }

    fn keep(&self, hash: TokenHash, found: &Option<Arc<R>>, since: u64) {
        match found {
            Some(record) => self.known.insert(hash, (Arc::clone(record), since)),
            None => self.unknown.insert(hash, since),
        }
    }
}

macro_rules! ask_the_store {
    ($(fn $name:ident(&self $(, $arg:ident: $type:ty)*) -> $answer:ty;)*) => {
        $(fn $name(&self $(, $arg: $type)*) -> $answer {
            self.store.$name($($arg),*)
        })*
    };
}

impl Store for Cached {
    fn session_by_hash(&self, hash: &TokenHash) -> Reply<'_, Option<Arc<SessionRecord>>> {
        self.look_up(&self.sessions, hash, |store, hash| store.session_by_hash(hash))
    }

    fn token_by_hash(&self, hash: &TokenHash) -> Reply<'_, Option<Arc<TokenRecord>>> {
        self.look_up(&self.tokens, hash, |store, hash| store.token_by_hash(hash))
    }

    ask_the_store! {
        fn ready(&self) -> Reply<'_, ()>;
        fn add_user(&self, user: User, password: PasswordHash, by: Attribution) -> Reply<'_, ()>;
        fn user(&self, id: UserId) -> Reply<'_, User>;
        fn credentials(&self, id: UserId) -> Reply<'_, UserCredentials>;
        fn credentials_by_email(&self, email: &Email) -> Reply<'_, Option<UserCredentials>>;
        fn hash_parameters(&self, sample: u32) -> Reply<'_, Vec<(HashParameters, u64)>>;
        fn users(&self, after: Option<UserId>, limit: u32) -> Reply<'_, Vec<User>>;
        fn each_user(&self, inventory: UserInventory, each: EachUser) -> Reply<'_, ()>;
        fn environment_owner(&self, id: EnvironmentId) -> Reply<'_, UserId>;
        fn each_token(&self, inventory: TokenInventory, now: Timestamp, each: EachToken) -> Reply<'_, ()>;
        fn change_profile(&self, id: UserId, change: ProfileChange, by: Attribution) -> Reply<'_, User>;
        fn change_password(&self, id: UserId, change: PasswordChange, by: Attribution) -> Reply<'_, ()>;
        fn disable_user(&self, id: UserId, by: Attribution) -> Reply<'_, User>;
        fn enable_user(&self, id: UserId, by: Attribution) -> Reply<'_, User>;
        fn sign_in(&self, sign_in: SignIn, by: Attribution) -> Reply<'_, ()>;
        fn sessions_of(&self, user: UserId, query: SessionQuery, now: Timestamp) -> Reply<'_, Vec<Session>>;
        fn end_session(&self, user: UserId, id: SessionId, by: Attribution) -> Reply<'_, ()>;
        fn end_other_sessions(&self, user: UserId, keep: SessionId, by: Attribution) -> Reply<'_, u64>;
        fn add_environment(&self, environment: Environment, by: Attribution) -> Reply<'_, ()>;
        fn environment(&self, user: UserId, id: EnvironmentId) -> Reply<'_, EnvironmentAccess>;
        fn environments_of(&self, user: UserId, query: EnvironmentQuery) -> Reply<'_, Vec<EnvironmentAccess>>;
        fn set_current_environment(&self, user: UserId, id: EnvironmentId, by: Attribution) -> Reply<'_, User>;
        fn rename_environment(&self, user: UserId, id: EnvironmentId, name: Name, by: Attribution) -> Reply<'_, EnvironmentAccess>;
        fn delete_environment(&self, user: UserId, id: EnvironmentId, by: Attribution) -> Reply<'_, ()>;
        fn members_of(&self, user: UserId, id: EnvironmentId) -> Reply<'_, Vec<Member>>;
        fn set_member(&self, user: UserId, id: EnvironmentId, with: UserId, role: MemberRole, by: Attribution) -> Reply<'_, Member>;
        fn remove_member(&self, user: UserId, id: EnvironmentId, with: UserId, by: Attribution) -> Reply<'_, ()>;
        fn add_environment_token(&self, user: UserId, token: NewToken, max_live: u32, by: Attribution) -> Reply<'_, Token>;
        fn environment_token(&self, user: UserId, environment: EnvironmentId, id: TokenId) -> Reply<'_, Token>;
        fn environment_tokens(&self, user: UserId, environment: EnvironmentId, query: TokenQuery, now: Timestamp) -> Reply<'_, Vec<Token>>;
        fn regenerate_environment_token(&self, user: UserId, environment: EnvironmentId, id: TokenId, successor: Successor, by: Attribution) -> Reply<'_, Token>;
        fn revoke_environment_token(&self, user: UserId, environment: EnvironmentId, id: TokenId, reason: RevocationReason, by: Attribution) -> Reply<'_, ()>;
        fn add_token(&self, token: NewToken, max_live: u32, by: Attribution) -> Reply<'_, Token>;
        fn token(&self, id: TokenId) -> Reply<'_, Token>;
        fn token_in_any_state(&self, id: TokenId) -> Reply<'_, Token>;
        fn last_use_of(&self, number: i64) -> Reply<'_, Option<Timestamp>>;
        fn tokens_of(&self, owner: UserId, query: TokenQuery, now: Timestamp) -> Reply<'_, Vec<Token>>;
        fn rename_token(&self, owner: UserId, id: TokenId, name: Name, by: Attribution) -> Reply<'_, Token>;
        fn revoke_token(&self, owner: UserId, id: TokenId, reason: RevocationReason, by: Attribution) -> Reply<'_, Successors>;
        fn successors_of(&self, ids: Vec<TokenId>) -> Reply<'_, Vec<(TokenId, TokenId)>>;
        fn rotate_token(&self, rotation: Rotation, by: Attribution) -> Reply<'_, Token>;
        fn record_first_use(&self, successor: TokenId, rotated_from: TokenId, by: Attribution) -> Reply<'_, ()>;
        fn revoke_family(&self, owner: UserId, family: TokenId, reused: TokenId, note: bool, by: Attribution) -> Reply<'_, u64>;
        fn ended_tokens(&self, long_ago: RetentionCutoff, after: i64) -> Reply<'_, PruneBatch>;
        fn prune_tokens(&self, tokens: Vec<(i64, TokenId)>, long_ago: RetentionCutoff) -> Reply<'_, u64>;
        fn revoke_tokens(
            &self, owner: UserId, selection: TokenSelection, reason: RevocationReason, by: Attribution
        ) -> Reply<'_, u64>;
        fn revoke_leaked(&self, leaked: LeakReport, by: Attribution) -> Reply<'_, ()>;
        fn disable_token(&self, owner: UserId, id: TokenId, by: Attribution) -> Reply<'_, (Token, Successors)>;
        fn enable_token(&self, owner: UserId, id: TokenId, by: Attribution) -> Reply<'_, Token>;
        fn reserve_uses(&self, id: TokenId) -> Reply<'_, u32>;
        fn return_uses(&self, unused: Vec<(TokenId, u32)>) -> Reply<'_, ()>;
        fn taken_uses(&self, ids: Vec<TokenId>) -> Reply<'_, Vec<(TokenId, u32)>>;
        fn record_refusal(&self, refused: Entry, by: Attribution) -> Reply<'_, ()>;
        fn events_of(&self, user: UserId, before: Option<i64>, limit: u32) -> Reply<'_, Vec<Event>>;
        fn prune_events(&self, before: Timestamp) -> Reply<'_, u64>;
        fn saved_attempts(&self) -> Reply<'_, SavedAttempts>;
        fn save_attempts(&self, counters: Vec<Counter>) -> Reply<'_, ()>;
        fn delete_rested_attempts(&self, rested_by: Timestamp) -> Reply<'_, u64>;
        fn record_uses(&self, uses: Uses) -> Reply<'_, ()>;
        fn record_locations(&self, origins: Vec<(TokenId, UseLocation)>) -> Reply<'_, ()>;
        fn locations_of(&self, id: TokenId) -> Reply<'_, Vec<UseLocation>>;
        fn prune_sessions(&self, now: Timestamp) -> Reply<'_, u64>;
        fn close(&self) -> Reply<'_, ()>;
        fn observe(&self, observer: Observer) -> ();
        fn is_coherent(&self) -> bool;
    }
}
