//! The latest count of all tokens. A scrape shows it and never waits for one.

use std::{
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use actix_web::rt;

use crate::{domain::token_counts::TokenCounts, http::state::current::CurrentState, ops::token_counts};

/// The shortest time from the end of a count to the start of the next.
const SHORTEST_PAUSE: Duration = Duration::from_secs(60);
/// The pause is at least so many times as long as the count, so that a count of many tokens is made less often.
const PAUSES_PER_COUNT: u32 = 20;
/// How often to look whether somebody scraped.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// A count, and when it ended.
#[derive(Debug, Default)]
pub(super) struct CountedTokens {
    latest: Mutex<Option<(TokenCounts, Instant)>>,
    was_scraped: AtomicBool,
}

impl CountedTokens {
    /// The latest count and its age, for a scrape. `None` before the first.
    pub(super) fn get(&self) -> Option<(TokenCounts, Duration)> {
        self.was_scraped.store(true, Relaxed);
        self.lock().map(|(counts, at)| (counts, at.elapsed()))
    }

    /// Counts at the start and then from time to time, as long as somebody scrapes.
    pub(super) async fn keep_counting(&self, state: &CurrentState) {
        self.was_scraped.store(true, Relaxed);
        loop {
            if self.was_scraped.swap(false, Relaxed) {
                let began = Instant::now();
                match token_counts::count(&state.get().ops).await {
                    Ok(counts) => *self.lock() = Some((counts, Instant::now())),
                    Err(error) => log::warn!(error:%; "the tokens were not counted for the metrics"),
                }
                rt::time::sleep(SHORTEST_PAUSE.max(began.elapsed() * PAUSES_PER_COUNT)).await;
            } else {
                rt::time::sleep(LOOK_EVERY).await;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<(TokenCounts, Instant)>> {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
