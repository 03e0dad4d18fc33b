//! Counts of what tokens do: recorded in memory by the check, written to the store in the background.
//!
//! A check that a rule of a policy allows increments a counter in the record of its token and takes no lock. The flush takes
//! these counts and adds them to the policy and to each ability of the rule. Refusals, and abilities that only the request
//! names, are counted by name under a lock.
//!
//! Every count is written once. What was taken from a record belongs to a batch until the store has confirmed the batch. A
//! batch whose outcome is unknown is written again with the same number, and the store does not add it twice. Only a crash
//! loses counts: those since the last write.

use std::{
    array,
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock,
        atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering},
    },
};

use uuid::Uuid;

use super::uses::TURNS;
use crate::{
    config,
    domain::{
        ability::{Ability, ServerAbility},
        policy::{Access, Policy},
        time::Timestamp,
        token::TokenRecord,
        token_usage::{Counts, Day, OTHER_ABILITIES, TokenUsage, UsageCount, UsageKind, UsageTotals},
        use_counts::{Counted, SourceParts, UseSource},
    },
    store::{BatchSeries, Store, StoreError, StoredUsage, UsageBatch},
};

const PARTS: usize = TURNS as usize;

/// How many rows one write has, about: a millisecond of the writer's time.
const WRITTEN_AT_ONCE: usize = 128;

/// How many names may be counted in memory. Beyond that, a name that is not there yet is not counted until the next write.
/// Counters in records are not limited by this.
const MAX_NAMES: usize = 50_000;

/// The counts that are not in the store yet.
pub(in crate::ops) struct UsageCounters {
    settings: config::Usage,
    /// Every policy that has been in force, by its number.
    policies: RwLock<Vec<Policy>>,
    parts: [Part; PARTS],
    /// How many names the parts hold.
    names: AtomicUsize,
    next_part: AtomicUsize,
    process: Uuid,
    next_batch: AtomicI64,
    started_at: Timestamp,
    /// Whether the store knows since when uses are counted.
    start_is_stored: AtomicBool,
}

#[derive(Default)]
struct Part {
    unwritten: Mutex<Unwritten>,
    /// Held while a batch is written, and while counts are read.
    writing: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Unwritten {
    /// The records whose counters are not zero. A record may be there more than once.
    records: Vec<Arc<TokenRecord>>,
    by_name: BTreeMap<(i64, Day), UsageTotals>,
    /// What is being written, or must be written again.
    batch: Option<UsageBatch>,
}

impl UsageCounters {
    /// `process` is different for each start of a program.
    pub(in crate::ops) fn new(settings: config::Usage, process: Uuid, started_at: Timestamp) -> Self {
        Self {
            settings,
            policies: RwLock::default(),
            parts: array::from_fn(|_| Part::default()),
            names: AtomicUsize::new(0),
            next_part: AtomicUsize::new(0),
            process,
            next_batch: AtomicI64::new(0),
            started_at,
            start_is_stored: AtomicBool::new(false),
        }
    }

    /// The policies, each with a number that no other one has had. What a record counts for a number is added to the policy
    /// that had it, so a policy that changes gets a new one.
    pub(in crate::ops) fn number(&self, policies: &[Policy]) -> Vec<Policy> {
        let mut known = self.policies.write().unwrap_or_else(PoisonError::into_inner);
        let numbered = policies.iter().map(|policy| {
            let number = known.iter().position(|known| policy.clone().numbered(known.number()) == *known);
            let policy = policy.clone().numbered(number.unwrap_or(known.len()));
            if number.is_none() {
                known.push(policy.clone());
            }
            policy
        });
        numbered.collect()
    }

    /// Counts a use that the rule with this index allowed.
    pub(in crate::ops) fn allow_by_rule(
        &self,
        record: &Arc<TokenRecord>,
        policy: &Policy,
        rule: usize,
        now: Timestamp,
    ) {
        if !self.settings.enabled {
            return;
        }
        let day = Day::of(now);
        let counted = UseSource::rule(policy.number(), rule).map(|source| record.use_counts.count(source, day));
        if counted != Some(Counted::Added) {
            self.allow_slowly(record, counted, day, policy, rule);
        }
    }

    #[cold]
    fn allow_slowly(
        &self,
        record: &Arc<TokenRecord>,
        counted: Option<Counted>,
        day: Day,
        policy: &Policy,
        rule: usize,
    ) {
        match counted {
            Some(Counted::First) => self.list(record),
            _ => self.count(record, day, Some(policy.name()), abilities_of(policy, rule), ALLOWED),
        }
    }

    /// Counts a use that needed this ability of the server.
    pub(in crate::ops) fn allow_by_server_ability(
        &self,
        record: &Arc<TokenRecord>,
        ability: ServerAbility,
        now: Timestamp,
    ) {
        if !self.settings.enabled {
            return;
        }
        let day = Day::of(now);
        match UseSource::ability(ability).map(|source| record.use_counts.count(source, day)) {
            Some(Counted::Added) => {}
            Some(Counted::First) => self.list(record),
            Some(Counted::NoRoom) | None => self.count(record, day, None, &[ability.ability()], ALLOWED),
        }
    }

    /// Counts a use that needed these abilities.
    pub(in crate::ops) fn allow_by_abilities(&self, record: &Arc<TokenRecord>, needed: &[Ability], now: Timestamp) {
        if self.settings.enabled && !needed.is_empty() {
            self.count(record, Day::of(now), None, needed, ALLOWED);
        }
    }

    /// Counts a refusal: for the policy, if one decided, and for the abilities that the token lacks.
    pub(in crate::ops) fn refuse(
        &self,
        record: &Arc<TokenRecord>,
        policy: Option<&Policy>,
        needed: &[Ability],
        now: Timestamp,
    ) {
        if !self.settings.enabled {
            return;
        }
        let lacks = |needed: &&Ability| !record.token.abilities.cover(needed.as_str());
        self.count(record, Day::of(now), policy.map(Policy::name), needed.iter().filter(lacks), REFUSED);
    }

    fn list(&self, record: &Arc<TokenRecord>) {
        self.part_of(record.token.number).lock().records.push(Arc::clone(record));
    }

    fn part_of(&self, number: i64) -> &Part {
        &self.parts[part_number(number)]
    }

    fn count<'a>(
        &self,
        record: &TokenRecord,
        day: Day,
        policy: Option<&str>,
        abilities: impl IntoIterator<Item = &'a Ability>,
        counts: Counts,
    ) {
        let number = record.token.number;
        let mut unwritten = self.part_of(number).lock();
        if let Some(policy) = policy {
            self.count_name(&mut unwritten, (number, day), UsageKind::Policy, policy, counts);
        }
        for ability in abilities {
            self.count_name(&mut unwritten, (number, day), UsageKind::Ability, ability.as_str(), counts);
        }
    }

    fn count_name(&self, unwritten: &mut Unwritten, key: (i64, Day), kind: UsageKind, name: &str, counts: Counts) {
        if let Some(known) = unwritten.by_name.get_mut(&key).and_then(|names| names.get_mut(kind, name)) {
            return known.add(counts);
        }
        if self.names.load(Ordering::Relaxed) >= MAX_NAMES {
            return;
        }
        let names = unwritten.by_name.entry(key).or_default();
        let is_full = kind == UsageKind::Ability && names.abilities.len() >= self.settings.max_abilities as usize;
        self.add(names, kind, if is_full { OTHER_ABILITIES } else { name }, counts);
    }

    fn add(&self, names: &mut UsageTotals, kind: UsageKind, name: &str, counts: Counts) {
        if names.add(kind, name, counts) {
            self.names.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Writes one part: the next one at each call.
    pub(in crate::ops) async fn flush_some(&self, store: &dyn Store, now: Timestamp) -> Result<(), StoreError> {
        self.store_start(store).await?;
        let part = self.next_part.fetch_add(1, Ordering::Relaxed) % PARTS;
        self.flush_part(store, part, now).await
    }

    /// Writes all parts.
    pub(in crate::ops) async fn flush(&self, store: &dyn Store, now: Timestamp) -> Result<(), StoreError> {
        self.store_start(store).await?;
        for part in 0..PARTS {
            self.flush_part(store, part, now).await?;
        }
        Ok(())
    }

    async fn store_start(&self, store: &dyn Store) -> Result<(), StoreError> {
        if !self.start_is_stored.load(Ordering::Relaxed) {
            store.set_usage_counting(self.settings.enabled.then_some(self.started_at)).await?;
            self.start_is_stored.store(true, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Counts that come during the write stay for the next call, and so does a batch whose write fails.
    async fn flush_part(&self, store: &dyn Store, number: usize, now: Timestamp) -> Result<(), StoreError> {
        let part = &self.parts[number];
        let _writing = part.writing.lock().await;
        // The counts of the moment at which it starts, so that it ends while others count.
        let mut is_collected = false;
        loop {
            let batch = {
                let mut unwritten = part.lock();
                if unwritten.batch.is_none() {
                    if !is_collected {
                        self.collect(&mut unwritten, Day::of(now));
                        is_collected = true;
                    }
                    unwritten.batch = self.next_batch(&mut unwritten.by_name, number);
                }
                unwritten.batch.clone()
            };
            let Some(batch) = batch else { return Ok(()) };
            store.record_usage(batch).await?;
            part.lock().batch = None;
        }
    }

    /// Takes the counts of the listed records.
    fn collect(&self, unwritten: &mut Unwritten, today: Day) {
        let policies = self.policies.read().unwrap_or_else(PoisonError::into_inner);
        for record in std::mem::take(&mut unwritten.records) {
            for (day, source, allowed) in record.use_counts.take(today) {
                let names = unwritten.by_name.entry((record.token.number, day)).or_default();
                let counts = Counts { allowed, refused: 0 };
                match source.parts() {
                    SourceParts::Rule { policy, rule } => {
                        let Some(policy) = policies.get(policy) else { continue };
                        self.add(names, UsageKind::Policy, policy.name(), counts);
                        for ability in abilities_of(policy, rule) {
                            self.add(names, UsageKind::Ability, ability.as_str(), counts);
                        }
                    }
                    SourceParts::Ability(ability) => self.add(names, UsageKind::Ability, ability.as_str(), counts),
                }
            }
        }
    }

    fn next_batch(&self, by_name: &mut BTreeMap<(i64, Day), UsageTotals>, part: usize) -> Option<UsageBatch> {
        let mut counts = Vec::new();
        while counts.len() < WRITTEN_AT_ONCE
            && let Some(((number, day), names)) = by_name.pop_first()
        {
            counts.extend(names.into_counts(day).map(|count| (number, count)));
        }
        if counts.is_empty() {
            return None;
        }
        self.names.fetch_sub(counts.len(), Ordering::Relaxed);
        let number = self.next_batch.fetch_add(1, Ordering::Relaxed);
        let max_abilities = self.settings.max_abilities;
        Some(UsageBatch { series: self.series(part), number, counts, max_abilities })
    }

    const fn series(&self, part: usize) -> BatchSeries {
        BatchSeries { process: self.process, part: part as u16 }
    }

    /// What the token with this row number did in the days that are kept, with what is not written yet.
    pub(in crate::ops) async fn of_token(
        &self,
        store: &dyn Store,
        number: i64,
        created_at: Timestamp,
        now: Timestamp,
    ) -> Result<TokenUsage, StoreError> {
        let part = self.part_of(number);
        // Nothing is written meanwhile, so that no count is in both places or in none.
        let _writing = part.writing.lock().await;
        let today = Day::of(now);
        let first = today.first_of(self.settings.keep_days);
        let (batch, mut counts) = {
            let mut unwritten = part.lock();
            self.collect(&mut unwritten, today);
            let days = unwritten.by_name.range((number, Day::MIN)..=(number, Day::MAX));
            let counts: Vec<UsageCount> = days.flat_map(|((_, day), names)| names.clone().into_counts(*day)).collect();
            (unwritten.batch.clone(), counts)
        };
        let StoredUsage { counts: stored, counted_since, last_batch } =
            store.usage_of(number, first, self.series(part_number(number))).await?;
        if let Some(batch) = batch.filter(|batch| Some(batch.number) != last_batch) {
            counts.extend(batch.counts.into_iter().filter(|(token, _)| *token == number).map(|(_, count)| count));
        }
        counts.extend(stored);
        let started_at = match self.start_is_stored.load(Ordering::Relaxed) {
            true => counted_since,
            false => Some(counted_since.unwrap_or(self.started_at)),
        };
        let counted_since = started_at.filter(|_| self.settings.enabled);
        Ok(TokenUsage::new(counted_since.map(|since| since.max(created_at).max(first.start())), counts))
    }

    /// Deletes counts that are older than the days that are kept.
    pub(in crate::ops) async fn prune(&self, store: &dyn Store, now: Timestamp) -> Result<(), StoreError> {
        let first = Day::of(now).first_of(self.settings.keep_days);
        for _ in 0..PRUNE_BATCHES {
            if store.prune_usage(first).await? == 0 {
                break;
            }
        }
        Ok(())
    }
}

/// How many batches of old counts are deleted in one turn.
const PRUNE_BATCHES: usize = 100;

const ALLOWED: Counts = Counts { allowed: 1, refused: 0 };
const REFUSED: Counts = Counts { allowed: 0, refused: 1 };

impl Part {
    /// A panic of another thread leaves the counts intact, so a poisoned lock is no error.
    fn lock(&self) -> MutexGuard<'_, Unwritten> {
        self.unwritten.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Neighbouring tokens share a part, so that one write touches few pages.
fn part_number(number: i64) -> usize {
    (number / 16).unsigned_abs() as usize % PARTS
}

fn abilities_of(policy: &Policy, rule: usize) -> &[Ability] {
    match policy.rules().get(rule).map(|rule| &rule.access) {
        Some(Access::Credential { abilities, .. }) => abilities,
        _ => &[],
    }
}
