//! The uses that a record has counted and that are not collected yet.

use std::{
    fmt,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

use super::{ability::ServerAbility, token_usage::Day};

/// How many sources a record counts at the same time.
const SLOTS: usize = 4;

/// A word is a day (16 bits), a source (20 bits) and a count (28 bits).
const COUNT_BITS: u32 = 28;
const MAX_COUNT: u64 = (1 << COUNT_BITS) - 1;
const SOURCE_BITS: u32 = 20;

/// What allowed a use: a rule of a policy, or an ability that this server acts on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct UseSource(u32);

impl UseSource {
    const RULE_BITS: u32 = 10;
    /// The number in the place of a policy that stands for this server.
    const SERVER: usize = (1 << (SOURCE_BITS - Self::RULE_BITS)) - 1;

    /// A rule by the numbers of its policy and of itself. `None` if one is too large: such a rule is counted by name.
    pub const fn rule(policy: usize, rule: usize) -> Option<Self> {
        if policy < Self::SERVER && rule < 1 << Self::RULE_BITS {
            Some(Self((policy << Self::RULE_BITS | rule) as u32))
        } else {
            None
        }
    }

    /// An ability of this server, by its place in [`ServerAbility::ALL`].
    pub fn ability(ability: ServerAbility) -> Option<Self> {
        let number = ServerAbility::ALL.iter().position(|known| *known == ability)?;
        Some(Self((Self::SERVER << Self::RULE_BITS | number) as u32))
    }

    /// What it stands for.
    pub fn parts(self) -> SourceParts {
        let (policy, rule) = ((self.0 >> Self::RULE_BITS) as usize, (self.0 & ((1 << Self::RULE_BITS) - 1)) as usize);
        match ServerAbility::ALL.get(rule) {
            Some(ability) if policy == Self::SERVER => SourceParts::Ability(*ability),
            _ => SourceParts::Rule { policy, rule },
        }
    }
}

/// What a [`UseSource`] stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceParts {
    /// A rule of a policy.
    Rule {
        /// The number of the policy.
        policy: usize,
        /// The number of the rule.
        rule: usize,
    },
    /// An ability of this server.
    Ability(ServerAbility),
}

/// Counters inside a record, which all threads that share the record increment. Each counts one source on one day.
///
/// A counter that is zero is free. The thread that raises it to one must list the record, so that its counts are
/// collected. A clone has no counts.
#[derive(Default)]
pub struct UseCounts([AtomicU64; SLOTS]);

/// What became of a count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counted {
    /// It was added. The record is listed, or another thread is about to list it.
    Added,
    /// It is the first of its counter: list the record.
    First,
    /// There is no room. Nothing was counted.
    NoRoom,
}

impl UseCounts {
    /// Counts a use by `source` on `day`.
    pub fn count(&self, source: UseSource, day: Day) -> Counted {
        let tag = (day.number() as u64 & 0xffff) << SOURCE_BITS | u64::from(source.0);
        for slot in &self.0 {
            let mut word = slot.load(Relaxed);
            while word >> COUNT_BITS == tag {
                if word & MAX_COUNT == MAX_COUNT {
                    return Counted::NoRoom;
                }
                match slot.compare_exchange(word, word + 1, Relaxed, Relaxed) {
                    Ok(_) => return if word & MAX_COUNT == 0 { Counted::First } else { Counted::Added },
                    Err(found) => word = found,
                }
            }
        }
        self.claim(tag)
    }

    #[cold]
    fn claim(&self, tag: u64) -> Counted {
        for slot in &self.0 {
            let word = slot.load(Relaxed);
            if word & MAX_COUNT == 0 && slot.compare_exchange(word, tag << COUNT_BITS | 1, Relaxed, Relaxed).is_ok() {
                return Counted::First;
            }
        }
        Counted::NoRoom
    }

    /// Takes all counts. `near` is a day less than a hundred years away from theirs.
    pub fn take(&self, near: Day) -> impl Iterator<Item = (Day, UseSource, u64)> {
        self.0.iter().filter_map(move |slot| {
            // The source stays, so that its next use finds the counter at once.
            let word = slot.fetch_and(!MAX_COUNT, Relaxed);
            let source = UseSource((word >> COUNT_BITS) as u32 & ((1 << SOURCE_BITS) - 1));
            let offset = ((word >> (COUNT_BITS + SOURCE_BITS)) as u16).wrapping_sub(near.number() as u16) as i16;
            let day = Day::from_number(near.number() + i64::from(offset));
            (word & MAX_COUNT > 0).then_some((day, source, word & MAX_COUNT))
        })
    }
}

impl Clone for UseCounts {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl fmt::Debug for UseCounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UseCounts")
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, thread};

    use super::*;

    fn source(rule: usize) -> UseSource {
        UseSource::rule(3, rule).unwrap()
    }

    fn taken(counts: &UseCounts, near: i64) -> Vec<(i64, UseSource, u64)> {
        counts.take(Day::from_number(near)).map(|(day, source, count)| (day.number(), source, count)).collect()
    }

    #[test]
    fn each_source_and_day_has_a_counter_of_its_own() {
        let (counts, today, tomorrow) = (UseCounts::default(), Day::from_number(70_000), Day::from_number(70_001));
        assert_eq!(counts.count(source(1), today), Counted::First);
        assert_eq!(counts.count(source(1), today), Counted::Added);
        assert_eq!(counts.count(source(2), today), Counted::First);
        assert_eq!(counts.count(source(1), tomorrow), Counted::First);
        assert_eq!(
            taken(&counts, 70_005),
            [(70_000, source(1), 2), (70_000, source(2), 1), (70_001, source(1), 1)],
            "days are known beyond 16 bits"
        );
        assert_eq!(taken(&counts, 70_005), []);
        assert_eq!(counts.count(source(1), today), Counted::First, "a collected counter lists the record again");
        assert_eq!(taken(&counts.clone(), 70_000), [], "a clone has no counts");
    }

    #[test]
    fn a_source_without_room_is_not_counted() {
        let (counts, today) = (UseCounts::default(), Day::from_number(20_000));
        for rule in 0..SLOTS {
            assert_eq!(counts.count(source(rule), today), Counted::First);
        }
        assert_eq!(counts.count(source(9), today), Counted::NoRoom);
        assert_eq!(taken(&counts, 20_000).len(), SLOTS);
        assert_eq!(counts.count(source(9), today), Counted::First, "collected counters are free");
        counts.0[0].store(counts.0[0].load(Relaxed) | MAX_COUNT, Relaxed);
        assert_eq!(counts.count(source(9), today), Counted::NoRoom, "a full counter does not overflow");
        assert_eq!(taken(&counts, 20_000), [(20_000, source(9), MAX_COUNT)]);
    }

    #[test]
    fn numbers_that_do_not_fit_are_refused() {
        let largest = SourceParts::Rule { policy: 1022, rule: 1023 };
        assert_eq!(UseSource::rule(1022, 1023).map(UseSource::parts), Some(largest));
        for ability in ServerAbility::ALL {
            assert_eq!(UseSource::ability(ability).map(UseSource::parts), Some(SourceParts::Ability(ability)));
        }
        assert_eq!((UseSource::rule(1023, 0), UseSource::rule(0, 1024)), (None, None));
    }

    #[test]
    fn no_count_is_lost_between_threads_that_count_and_one_that_collects() {
        const EACH: u64 = 50_000;
        let counts = Arc::new(UseCounts::default());
        let counting: Vec<_> = (0..4)
            .map(|n| {
                let counts = Arc::clone(&counts);
                thread::spawn(move || {
                    let day = Day::from_number(20_000 + n % 2);
                    (0..EACH).filter(|_| counts.count(source(1), day) == Counted::NoRoom).count()
                })
            })
            .collect();
        let mut collected = 0;
        while counting.iter().any(|thread| !thread.is_finished()) {
            collected += taken(&counts, 20_000).iter().map(|(.., count)| count).sum::<u64>();
        }
        let without_room: usize = counting.into_iter().map(|thread| thread.join().unwrap()).sum();
        collected += taken(&counts, 20_000).iter().map(|(.., count)| count).sum::<u64>();
        assert_eq!(collected + without_room as u64, 4 * EACH);
    }
}
