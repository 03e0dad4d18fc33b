//! A cache of the *records* that lookups by secret return, and of unknown secrets.
//!
//! It never caches a decision: expiry, abilities and the owner's state are checked at each use. A record is served only
//! while the store would return the same. Three rules ensure that:
//!
//! 1. The store reports every change ([`CredentialSource::observe`]) after the change can be read and before it is
//!    answered, even if the caller has gone. [`epochs`] then invalidates records that were read before, including those
//!    that enter the cache later. No write can bypass this, because the store itself reports it.
//! 2. Changes by other processes are reported too. While such a report may be more than 100 ms late, the store is not
//!    coherent ([`CredentialSource::is_coherent`]), and every lookup goes to the store.
//! 3. A failed lookup is not cached.
//!
//! [`Capacity`] bounds the memory. Beyond it, the least used records are evicted and read again.

mod epochs;
mod singleflight;

use std::sync::Arc;

use quick_cache::sync::Cache;

use self::{epochs::Epochs, singleflight::Calls};
use super::{
    Backend, Change, CredentialSource, Credentials, Database, Reply, Store, StoreError,
    lookups::{CacheReport, LookupResult, Lookups},
};
use crate::domain::{secret::TokenHash, session::SessionRecord, token::TokenRecord};

/// The size of the cache.
#[derive(Clone, Copy, Debug)]
pub struct Capacity {
    /// How many tokens, with their owners.
    pub tokens: usize,
    /// How many sessions, with their users.
    pub sessions: usize,
    /// How many unknown token secrets, and as many unknown session secrets.
    pub unknown: usize,
}

impl Backend {
    /// A backend whose lookups of credentials are answered from memory where possible.
    pub fn with_cache<S: Store + CredentialSource>(store: Arc<S>, capacity: Capacity) -> Self {
        Database::new(store).cached(capacity)
    }
}

impl Database {
    /// A backend whose lookups of credentials are answered from memory where possible.
    pub fn cached(self, capacity: Capacity) -> Backend {
        let credentials = Arc::new(CredentialCache::new(self.credentials, capacity));
        Backend { store: self.store, credentials }
    }
}

/// Answers lookups from memory while its record is the one that the source would return.
pub struct CredentialCache {
    source: Arc<dyn CredentialSource>,
    epochs: Arc<Epochs>,
    tokens: RecordCache<TokenRecord>,
    sessions: RecordCache<SessionRecord>,
}

impl CredentialCache {
    /// Puts a cache in front of `source`.
    pub fn new(source: Arc<dyn CredentialSource>, capacity: Capacity) -> Self {
        let epochs = Arc::new(Epochs::new());
        let observed = Arc::clone(&epochs);
        source.observe(Box::new(move |change| observed.changed(change)));
        Self {
            source,
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
        // Checked before the cache is read, because it covers only changes that were reported before this call.
        if self.source.is_coherent() {
            let found = cache.find(hash, &self.epochs);
            cache.lookups.count(match &found {
                Some(Some(_)) => LookupResult::Hit,
                Some(None) => LookupResult::KnownMiss,
                None => LookupResult::Miss,
            });
            if let Some(found) = found {
                return Reply::ready(Ok(found));
            }
        } else {
            cache.lookups.count(LookupResult::Bypassed);
        }
        let since = self.epochs.now();
        match ask(&*self.source, hash) {
            // Answered on this thread, so no other lookup could have joined it.
            Reply::Ready(answer) => {
                if let Some(Ok(found)) = &answer {
                    cache.keep(*hash, found, since);
                }
                Reply::Ready(answer)
            }
            // The read has not started, because a future does nothing before it is polled.
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
        // The lookup of another caller may have missed a change that was answered before this lookup started.
        if is_own || self.source.is_coherent() && R::is_current(found.as_deref(), &hash, since, &self.epochs) {
            cache.keep(hash, &found, since);
            return Ok(found);
        }
        drop(waiter);
        ask(&*self.source, &hash).await
    }
}

impl Credentials for CredentialCache {
    fn token_by_hash(&self, hash: &TokenHash) -> Reply<'_, Option<Arc<TokenRecord>>> {
        self.look_up(&self.tokens, hash, |source, hash| source.token_by_hash(hash))
    }

    fn session_by_hash(&self, hash: &TokenHash) -> Reply<'_, Option<Arc<SessionRecord>>> {
        self.look_up(&self.sessions, hash, |source, hash| source.session_by_hash(hash))
    }

    fn cache_report(&self) -> Option<CacheReport> {
        let is_coherent = self.source.is_coherent();
        Some(CacheReport::new(is_coherent, &self.tokens.lookups, &self.sessions.lookups))
    }
}

type Ask<'s, R> = fn(&'s dyn CredentialSource, &TokenHash) -> Reply<'s, Option<Arc<R>>>;

/// A record that can be cached.
trait Record: Send + Sync + 'static {
    /// Whether a read with the epoch `since` would return the same now.
    fn is_current(found: Option<&Self>, hash: &TokenHash, since: u64, epochs: &Epochs) -> bool;
}

impl Record for TokenRecord {
    fn is_current(found: Option<&Self>, hash: &TokenHash, since: u64, epochs: &Epochs) -> bool {
        match found {
            Some(Self { token, owner, .. }) => {
                epochs.unchanged_since(since, [Change::Token(token.id), Change::User(owner.id()), Change::Anything])
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

/// The records of one kind, each with the epoch before its read. Outdated ones stay until they are replaced or evicted.
struct RecordCache<R> {
    known: Cache<TokenHash, (Arc<R>, u64)>,
    /// A separate cache, so that many invented secrets evict no record.
    unknown: Cache<TokenHash, u64>,
    calls: Calls<Option<Arc<R>>>,
    lookups: Lookups,
}

impl<R: Record> RecordCache<R> {
    fn new(known: usize, unknown: usize) -> Self {
        Self {
            known: Cache::new(known),
            unknown: Cache::new(unknown),
            calls: Calls::default(),
            lookups: Lookups::default(),
        }
    }

    /// A current record, or `Some(None)` if the secret is known not to exist.
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
