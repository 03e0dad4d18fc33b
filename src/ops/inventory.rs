//! Lists for administrators: all users and all tokens. They are streamed, so the memory does not grow with their length.

use std::{
    ops::ControlFlow,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use futures_util::future::join;
use tokio::sync::mpsc::{self, error::TrySendError};

use super::{
    context::Context,
    error::Error,
    token_filter::{self, FilterTexts},
    tokens, usage_limits,
};
use crate::{
    domain::{
        account::Role,
        account_state::{Account, AccountState},
        authority::Administrator,
        id::TokenId,
        owner::Owner,
        text::folded,
        time::Timestamp,
        token::Token,
    },
    store::{Reply, StoreError, TokenFilter, TokenInventory, TokenOrder, UserInventory, UserOrder, Whose},
};

/// How many batches of rows may wait for the consumer.
const WAITING_BATCHES: usize = 2;

/// How long the consumer may take no batch. Meanwhile the list holds a connection, and an old state of the database.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long to wait before trying again to pass a batch on: at first, and at most.
const FIRST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(50);

/// Which users to list.
#[derive(Clone, Debug, Default)]
pub struct UserList {
    /// Only users whose name or address contains this text.
    pub search: Option<String>,
    /// Only users with this role.
    pub role: Option<Role>,
    /// Only users whose account is in this state.
    pub state: Option<AccountState>,
    /// The order.
    pub order: UserOrder,
    /// Whether the order is reversed.
    pub reversed: bool,
    /// At most this many.
    pub limit: Option<u64>,
}

/// Which tokens to list.
#[derive(Clone, Debug, Default)]
pub struct TokenList {
    /// Only the tokens of this user or environment.
    pub whose: Whose,
    /// Only tokens that satisfy these filters.
    pub filter: FilterTexts,
    /// Only tokens whose name, or whose owner's address, contains this text.
    pub search: Option<String>,
    /// Only tokens that expire or become idle before this time.
    pub ends_before: Option<Timestamp>,
    /// Only tokens that were neither used nor created at this time or later.
    pub unused_since: Option<Timestamp>,
    /// The order. Times of use are those in the store, which may be ten seconds late.
    pub order: TokenOrder,
    /// Whether the order is reversed.
    pub reversed: bool,
    /// At most this many.
    pub limit: Option<u64>,
}

/// A token in the list.
#[derive(Clone, Debug)]
pub struct ListedToken {
    /// The token with its latest use. Its expiry is the effective one: expiry or idle time, whichever is first.
    pub token: Token,
    /// Its owner.
    pub owner: Owner,
    /// How many uses it has left. `None` if it has no quota.
    pub quota_left: Option<u32>,
    /// Its latest successor.
    pub successor: Option<TokenId>,
}

/// Calls `each` with one user after the other, until it breaks.
pub async fn users(
    ctx: &Context,
    _: Administrator,
    list: UserList,
    mut each: impl AsyncFnMut(Account) -> ControlFlow<()>,
) -> Result<(), Error> {
    let UserList { search, role, state, order, reversed, limit } = list;
    let wanted = UserInventory { search: search.map(|text| folded(&text)), role, state, order, reversed };
    let mut left = limit.unwrap_or(u64::MAX);
    pump(
        PATIENCE,
        |batches| ctx.store.each_user(wanted, batches),
        async |user| {
            if left == 0 {
                return ControlFlow::Break(());
            }
            left -= 1;
            each(user).await
        },
    )
    .await
}

/// Calls `each` with one token after the other, until it breaks. Uses that are not written yet count. Fails with
/// [`Error::NotFound`] if the tokens of an unknown environment are requested.
pub async fn tokens(
    ctx: &Context,
    _: Administrator,
    list: TokenList,
    mut each: impl AsyncFnMut(ListedToken) -> ControlFlow<()>,
) -> Result<(), Error> {
    let TokenList { whose, filter, search, ends_before, unused_since, order, reversed, limit } = list;
    if let Whose::Environment(id) = whose {
        ctx.store.environment_owner(id).await?;
    }
    let now = ctx.clock.now();
    let filter = filter.read(ctx, now).await?;
    let filter = TokenFilter { unused_since: unused_since.or(filter.unused_since), ..filter };
    let search = search.map(|text| folded(&text));
    let wanted = TokenInventory { whose, filter: filter.clone(), search, ends_before, order, reversed };
    let mut left = limit.unwrap_or(u64::MAX);
    pump(
        PATIENCE,
        |batches| ctx.store.each_token(wanted, now, batches),
        async |row| {
            let mut token = row.token;
            tokens::apply_unwritten_use(ctx, &mut token);
            // The latest use may be unwritten, so the store may have found too many tokens.
            let ends_later = |time| token.expires_at.is_none_or(|end| end >= time);
            if !token_filter::is_still_meant(ctx, &filter, &token) || ends_before.is_some_and(ends_later) {
                return ControlFlow::Continue(());
            }
            if left == 0 {
                return ControlFlow::Break(());
            }
            left -= 1;
            let quota_left = usage_limits::quota_left(ctx, &token, row.quota_used);
            each(ListedToken { token, owner: row.owner, quota_left, successor: row.successor }).await
        },
    )
    .await
}

type Batches<T> = Box<dyn FnMut(Vec<T>) -> ControlFlow<()> + Send>;

/// Passes rows from the store's thread to `each`. The store's thread waits while `each` is behind, but not longer than
/// `patience`.
async fn pump<'s, T: Send + 'static>(
    patience: Duration,
    read: impl FnOnce(Batches<T>) -> Reply<'s, ()>,
    mut each: impl AsyncFnMut(T) -> ControlFlow<()>,
) -> Result<(), Error> {
    let (batches, mut received) = mpsc::channel(WAITING_BATCHES);
    let is_late = Arc::new(AtomicBool::new(false));
    let late = Arc::clone(&is_late);
    let reading = read(Box::new(move |batch| {
        let passed = pass_on(&batches, batch, patience);
        late.store(passed == Passed::Late, Ordering::Relaxed);
        if passed == Passed::Taken { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    }));
    let taking = async move {
        while let Some(batch) = received.recv().await {
            for row in batch {
                if each(row).await.is_break() {
                    return;
                }
            }
        }
    };
    let (read, ()) = join(reading, taking).await;
    read?;
    match is_late.load(Ordering::Relaxed) {
        true => Err(StoreError::Unavailable("the list was ended, because nobody took its rows".to_owned()).into()),
        false => Ok(()),
    }
}

/// What became of a batch.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Passed {
    Taken,
    /// The consumer is gone.
    Refused,
    /// The consumer did not take it in time.
    Late,
}

fn pass_on<T>(batches: &mpsc::Sender<Vec<T>>, mut batch: Vec<T>, patience: Duration) -> Passed {
    let (begun, mut pause) = (Instant::now(), FIRST_PAUSE);
    loop {
        batch = match batches.try_send(batch) {
            Ok(()) => return Passed::Taken,
            Err(TrySendError::Closed(_)) => return Passed::Refused,
            Err(TrySendError::Full(batch)) => batch,
        };
        if begun.elapsed() >= patience {
            return Passed::Late;
        }
        thread::sleep(pause);
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(future)
    }

    /// A list of five batches on a thread of its own, and how many of them were passed on.
    fn list(mut batches: Batches<u8>) -> (Reply<'static, ()>, thread::JoinHandle<usize>) {
        let (end, ended) = tokio::sync::oneshot::channel::<Infallible>();
        let read = thread::spawn(move || {
            let passed = (0..5).take_while(|number| batches(vec![*number]).is_continue()).count();
            drop((end, batches));
            passed
        });
        let reply = async {
            // The sender is dropped at the end.
            let _ = ended.await;
            Ok(())
        };
        (Reply::Pending(Box::pin(reply)), read)
    }

    #[test]
    fn a_list_whose_rows_nobody_takes_ends_and_says_so() {
        let mut read = None;
        let begin = |batches| {
            let (reply, thread) = list(batches);
            read = Some(thread);
            reply
        };
        // The consumer takes the first row, and nothing more until the read has ended.
        let slow = async |row: u8| {
            if row == 0 {
                thread::sleep(Duration::from_millis(300));
            }
            ControlFlow::Continue(())
        };
        let listed = block_on(pump(Duration::from_millis(50), begin, slow));
        assert!(matches!(listed, Err(Error::Store(StoreError::Unavailable(_)))), "{listed:?}");
        assert!(read.expect("it began").join().expect("no panic") < 5);
    }

    #[test]
    fn a_list_whose_rows_are_taken_in_time_is_whole() {
        let mut taken = Vec::new();
        let listed = block_on(pump(
            PATIENCE,
            |batches| list(batches).0,
            async |row: u8| {
                taken.push(row);
                thread::sleep(Duration::from_millis(5));
                ControlFlow::Continue(())
            },
        ));
        assert_eq!((listed, taken), (Ok(()), vec![0, 1, 2, 3, 4]));
    }
}
