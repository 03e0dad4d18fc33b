//! A store with a memory: it keeps the *records* that look-ups by secret answered, and that there are none.
//!
//! Never a verdict: expiry, abilities and the owner's state are judged at each use. A record is served only while it is
//! what the store would answer. Three things see to that:
//!
//! 1. Every change is told of by the store that makes it ([`CredentialSource::observe`]), once it can be read and before its answer,
//!    whoever asked for it and whether they still wait. [`epochs`] then voids what was read before, be it in the cache
//!    or still on its way into it. No write can go round this, since the store itself tells.
//! 2. What others change, past this store, is told of as well; and where that may be more than a tenth of a second late,
//!    the store does not vouch ([`CredentialSource::is_coherent`]), and every look-up is the store's.
//! 3. A look-up that fails is kept nowhere.
//!
//! Memory is bounded by [`Capacity`]; beyond it, the records that are asked for least are forgotten, and what is
//! forgotten is looked up again.

mod epochs;
mod singleflight;

use std::sync::Arc;

use quick_cache::sync::Cache;

use self::{epochs::Epochs, singleflight::Calls};
use super::{Backend, Change, CredentialSource, Credentials, Reply, Store, StoreError};
use crate::domain::{secret::TokenHash, session::SessionRecord, token::TokenRecord};

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

impl Backend {
    /// A backend whose look-ups of credentials are answered from memory where possible.
    pub fn with_cache<S: Store + CredentialSource>(store: Arc<S>, capacity: Capacity) -> Self {
        let credentials = Arc::new(CredentialCache::new(Arc::<S>::clone(&store), capacity));
        Self { store, credentials }
    }
}

/// Answers look-ups from memory while it holds what its source would answer.
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
        // The store vouches for what it told until then, so it is asked before the epochs are.
        if self.source.is_coherent()
            && let Some(found) = cache.find(hash, &self.epochs)
        {
            return Reply::ready(Ok(found));
        }
        let since = self.epochs.now();
        match ask(&*self.source, hash) {
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
}

type Ask<'s, R> = fn(&'s dyn CredentialSource, &TokenHash) -> Reply<'s, Option<Arc<R>>>;

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
