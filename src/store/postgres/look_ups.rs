//! Looks up secrets that are not in memory. Those that wait at the same moment are looked up by one statement: most of what a
//! look-up costs is the way to the server and back, and the statement, not the row.
//!
//! What a look-up finds must be from after it was asked for, and from the server on which this node has its lease
//! (decision 20). So a statement takes what waits *before* it looks at the lease. One that is under way already takes nothing more.

use std::{
    collections::VecDeque,
    mem,
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use futures_util::FutureExt;
use tokio::{runtime::Handle, sync::oneshot, time::timeout_at};
use tokio_postgres::Row;

use super::{
    dialect::translate,
    node::Node,
    readers::Readers,
    reading::{give_back, read_by_hashes},
    settings::TIME_LIMIT,
};
use crate::{domain::secret::TokenHash, store::StoreError};

/// How many statements of a kind are under way at the same time. With more of them, each would look up less: a second one only
/// makes sure that neither the server nor this process waits for the other.
const MAX_STATEMENTS: usize = 2;
/// How many secrets a statement looks up. They are all answered when the last one is found.
const MAX_TOGETHER: usize = 64;
/// How many may wait. More would only wait for the same time-out.
const MAX_WAITING: usize = 1024;

/// Looks up secrets of one kind.
pub(super) struct LookUps {
    statement: String,
    readers: Readers,
    node: Option<Arc<Node>>,
    queue: Mutex<Queue>,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Waiting>,
    /// How many statements are under way.
    under_way: usize,
}

struct Waiting {
    hash: TokenHash,
    answer: oneshot::Sender<Result<Option<Row>, StoreError>>,
}

impl LookUps {
    /// `by_hash` is a statement of the store with the parameter `:hash`, which finds one row at most. Its rows get one more column.
    pub(super) fn new(by_hash: &str, readers: Readers, node: Option<Arc<Node>>) -> Self {
        Self { statement: for_several(by_hash), readers, node, queue: Mutex::default() }
    }

    /// Finds the row with this hash. It is answered in time, whatever the server does. The statements run in `runtime`, also if
    /// the caller stops waiting.
    pub(super) async fn find(self: &Arc<Self>, runtime: &Handle, hash: TokenHash) -> Result<Option<Row>, StoreError> {
        let deadline = Instant::now() + TIME_LIMIT;
        let (answer, answered) = oneshot::channel();
        if self.queue().add(Waiting { hash, answer })? {
            runtime.spawn(run_statements(Arc::clone(self)));
        }
        // The caller may be in no runtime, or in one without a clock.
        let answered = {
            let _runtime = runtime.enter();
            timeout_at(deadline.into(), answered)
        };
        match answered.await {
            Ok(Ok(found)) => found,
            Ok(Err(_)) => Err(StoreError::Internal("a look-up panicked".to_owned())),
            Err(_) => Err(no_answer()),
        }
    }

    async fn look_up(&self, taken: Vec<Waiting>) {
        let deadline = Instant::now() + TIME_LIMIT;
        let client = match self.readers.get_under_lease(self.node.as_deref(), deadline).await {
            Ok(client) => client,
            // Those behind them would only wait for the same.
            Err(error) => {
                let waiting = mem::take(&mut self.queue().waiting);
                return refuse(taken.into_iter().chain(waiting), &error);
            }
        };
        let hashes: Vec<&[u8]> = taken.iter().map(|one| one.hash.as_bytes().as_slice()).collect();
        let reading = read_by_hashes(&client, &self.statement, &hashes);
        let read = timeout_at(deadline.into(), reading).await.unwrap_or_else(|_| Err(no_answer()));
        give_back(client, &read);
        match read {
            Ok(rows) => answer(taken, rows),
            Err(error) => refuse(taken, &error),
        }
    }

    /// No code panics while it holds this lock, so poisoning is ignored.
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    /// Returns whether the caller must start to run statements.
    fn add(&mut self, one: Waiting) -> Result<bool, StoreError> {
        if self.waiting.len() >= MAX_WAITING {
            return Err(StoreError::NotMade("too many reads are waiting".to_owned()));
        }
        self.waiting.push_back(one);
        let begins = self.under_way < MAX_STATEMENTS;
        if begins {
            self.under_way += 1;
        }
        Ok(begins)
    }

    /// What the next statement looks up. `None` if nothing waits: then there is one statement less from now on.
    fn take(&mut self) -> Option<Vec<Waiting>> {
        while !self.waiting.is_empty() {
            let count = self.waiting.len().min(MAX_TOGETHER);
            let taken: Vec<_> = self.waiting.drain(..count).filter(|one| !one.answer.is_closed()).collect();
            if !taken.is_empty() {
                return Some(taken);
            }
        }
        self.under_way -= 1;
        None
    }
}

/// Runs one statement after another, until nothing waits.
async fn run_statements(look_ups: Arc<LookUps>) {
    loop {
        let Some(taken) = look_ups.queue().take() else { return };
        // A panic drops what it has taken, so that no caller waits for it. It must not end this task.
        let _ = AssertUnwindSafe(look_ups.look_up(taken)).catch_unwind().await;
    }
}

fn refuse(waiting: impl IntoIterator<Item = Waiting>, error: &StoreError) {
    for one in waiting {
        // The caller may have gone.
        let _ = one.answer.send(Err(error.clone()));
    }
}

/// Answers each one with its row.
fn answer(taken: Vec<Waiting>, rows: Vec<Row>) {
    let mut waiting: Vec<_> = taken.into_iter().map(|one| Some(one.answer)).collect();
    let mut is_unexpected = false;
    for row in rows {
        match position(&row).and_then(|at| waiting.get_mut(at)).and_then(Option::take) {
            Some(answer) => drop(answer.send(Ok(Some(row)))),
            None => is_unexpected = true,
        }
    }
    for answer in waiting.into_iter().flatten() {
        let answered = match is_unexpected {
            true => Err(StoreError::Internal("a look-up found a row that was not asked for".to_owned())),
            false => Ok(None),
        };
        let _ = answer.send(answered);
    }
}

/// A statement that finds the rows of several hashes, each as `by_hash` finds it, with the position of the hash behind its columns.
///
/// `OFFSET 0` keeps the planner from joining all rows in another way than one after another, by their index: with the statistics of
/// a table that has grown since, it might read all of it. In a subquery, it does not see how many hashes there are. Otherwise it
/// would plan each statement anew, which takes longer than the look-up.
fn for_several(by_hash: &str) -> String {
    let by_hash = translate(&by_hash.replace(":hash", "wanted.hash")).text;
    format!(
        "SELECT found.*, wanted.at FROM unnest((SELECT $1::bytea[])) WITH ORDINALITY AS wanted(hash, at)
         CROSS JOIN LATERAL ({by_hash} OFFSET 0) AS found"
    )
}

fn position(row: &Row) -> Option<usize> {
    let at: i64 = row.try_get(row.len().checked_sub(1)?).ok()?;
    usize::try_from(at).ok()?.checked_sub(1)
}

fn no_answer() -> StoreError {
    StoreError::Unavailable("PostgreSQL did not answer within 2 s".to_owned())
}
