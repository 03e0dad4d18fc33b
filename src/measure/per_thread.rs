//! A copy for each thread, so that cores that count the same thing do not wait for each other's caches.

use std::{
    cell::Cell,
    sync::{
        OnceLock,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

/// How many copies there may be. With more threads, some of them share a copy.
const COPIES: usize = 64;

/// Copies of `T`, which threads make when they first need one.
#[derive(Debug)]
pub(crate) struct PerThread<T>(Box<[OnceLock<Box<Aligned<T>>>; COPIES]>);

/// In cache lines of its own. Processors fetch them in pairs.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Aligned<T>(T);

impl<T: Default> Default for PerThread<T> {
    fn default() -> Self {
        Self(Box::new([const { OnceLock::new() }; COPIES]))
    }
}

impl<T: Default> PerThread<T> {
    /// The copy of this thread.
    pub(crate) fn own(&self) -> &T {
        // The compiler sees that a remainder is always a place.
        &self.0[own_copy() % COPIES].get_or_init(Box::default).0
    }

    /// All copies that were made.
    pub(crate) fn all(&self) -> impl Iterator<Item = &T> {
        self.0.iter().filter_map(OnceLock::get).map(|copy| &copy.0)
    }
}

/// Which copy this thread uses.
fn own_copy() -> usize {
    const UNSET: usize = usize::MAX;
    static THREADS: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static OWN: Cell<usize> = const { Cell::new(UNSET) };
    }
    match OWN.get() {
        UNSET => {
            let own = THREADS.fetch_add(1, Relaxed) % COPIES;
            OWN.set(own);
            own
        }
        own => own,
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;
    use crate::measure::Counter;

    #[test]
    fn nothing_is_lost_when_more_threads_count_than_there_are_copies() {
        let counts = PerThread::<Counter>::default();
        thread::scope(|scope| {
            for _ in 0..COPIES * 2 {
                scope.spawn(|| (0..100).for_each(|_| counts.own().increment()));
            }
        });
        assert_eq!(counts.all().map(Counter::get).sum::<u64>(), COPIES as u64 * 200);
        assert!(counts.all().count() > 1);
    }
}
