//! Changes that two stores of one database make at the same time. Whatever the order, the rules must hold afterwards.
//!
//! A race runs many times. Each time, another change is the first to be sent.

mod credentials;
mod limits;
mod owners;
mod powers;

use patd::store::sqlite::SqliteStore;

use super::*;
use crate::support::postgres::PostgresDatabase;

/// The stores of two servers on one database, or one of them twice.
pub(super) type Pair = [TestStore; 2];

type Race = for<'s> fn(&'s Pair, Turn) -> BoxFuture<'s, ()>;

const TURNS: usize = 16;

/// One run of a race.
#[derive(Clone, Copy)]
pub(super) struct Turn(usize);

impl Turn {
    /// Sends all changes at once, another one first in each turn. The answers are in the order of the changes.
    async fn at_once<T>(self, changes: Vec<BoxFuture<'_, T>>) -> Vec<T> {
        let mut changes: Vec<_> = changes.into_iter().enumerate().collect();
        let first = self.0 % changes.len();
        changes.rotate_left(first);
        let changes = changes.into_iter().map(async |(at, change)| (at, change.await));
        let mut answers = join_all(changes).await;
        answers.sort_by_key(|(at, _)| *at);
        answers.into_iter().map(|(_, answer)| answer).collect()
    }

    /// A name that no other turn uses.
    fn unique(self, text: &str) -> String {
        format!("{text}{}", self.0)
    }

    /// The store that makes the change which the race is about. The other changes are made on both.
    fn which(self, stores: &Pair) -> &TestStore {
        &stores[self.0 / 2 % 2]
    }
}

/// The user's audit events as words, oldest first.
async fn trail(store: &TestStore, user: UserId) -> Vec<&'static str> {
    let mut events = store.events_of(user, None, 100).await.unwrap();
    events.reverse();
    events.iter().map(|event| event.entry.action.as_str()).collect()
}

/// Panics if an event with the first name comes after the last one with the second. Returns how many have the first name.
fn expect_before(trail: &[&str], first: &str, second: &str) -> usize {
    let end = trail.iter().rposition(|event| *event == second).unwrap_or_else(|| panic!("no {second} in {trail:?}"));
    assert!(!trail[end..].contains(&first), "{first} after {second}: {trail:?}");
    trail.iter().filter(|event| **event == first).count()
}

/// How many changes were made. All others must have been refused with one of these errors.
fn made<T: std::fmt::Debug>(answers: &[Result<T, StoreError>], refusals: &[StoreError]) -> usize {
    let is_expected = |error: &StoreError| refusals.contains(error);
    for answer in answers {
        assert!(answer.as_ref().err().is_none_or(is_expected), "{answer:?}");
    }
    answers.iter().filter(|answer| answer.is_ok()).count()
}

/// Whether each store accepts the token now, as far as its record says.
async fn accepts(stores: &Pair, hash: &TokenHash) -> [bool; 2] {
    let mut accepts = [false; 2];
    for (accepts, store) in accepts.iter_mut().zip(stores) {
        let found = store.token_by_hash(hash).await.unwrap();
        *accepts = found.is_some_and(|record| {
            let Token { revoked, disabled_at, expires_at, .. } = &record.token;
            let is_good = revoked.is_none() && disabled_at.is_none() && record.owner.disabled_at().is_none();
            is_good && expires_at.is_none_or(|end| end > at(3000))
        });
    }
    accepts
}

/// Whether each store knows the session.
async fn knows(stores: &Pair, session: &NewSession) -> [bool; 2] {
    [is_signed_in(&stores[0], session).await, is_signed_in(&stores[1], session).await]
}

const NEITHER: [bool; 2] = [false; 2];
const BOTH: [bool; 2] = [true; 2];

fn run(stores: &Pair, race: Race) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    (0..TURNS).for_each(|turn| runtime.block_on(race(stores, Turn(turn))));
}

/// One store, for requests that a server gets at the same time.
fn run_on_sqlite(race: Race) {
    let directory = tempfile::tempdir().unwrap();
    let backend = with_cache(Database::new(Arc::new(sqlite::open(directory.path(), Access::Server))));
    run(&[TestStore(backend.clone()), TestStore(backend)], race);
}

/// The store of a server, and that of a command beside it. They have no cache, because one of them hears of changes of the
/// other a little later.
fn run_beside_a_command(race: Race) {
    let directory = tempfile::tempdir().unwrap();
    let store = |store: SqliteStore| TestStore(without_cache(Database::new(Arc::new(store))));
    let server = store(sqlite::open(directory.path(), Access::Server));
    run(&[server, store(sqlite::open(directory.path(), Access::Existing))], race);
}

/// Two nodes.
fn run_on_postgres(race: Race) {
    let Some(database) = PostgresDatabase::new() else {
        return eprintln!("nothing is checked without a server: tests/postgres starts one");
    };
    run(&[0, 1].map(|_| TestStore(with_cache(postgres::open(&database)))), race);
}

macro_rules! races {
    ($($module:ident: $($name:ident),*;)*) => {
        mod on_sqlite {
            $($(#[test] fn $name() { super::run_on_sqlite(|stores, turn| Box::pin(super::$module::$name(stores, turn))); })*)*
        }

        mod on_sqlite_beside_a_command {
            $($(#[test] fn $name() { super::run_beside_a_command(|stores, turn| Box::pin(super::$module::$name(stores, turn))); })*)*
        }

        mod on_postgres {
            $($(#[test] fn $name() { super::run_on_postgres(|stores, turn| Box::pin(super::$module::$name(stores, turn))); })*)*
        }
    };
}

races! {
    owners:
        no_token_is_created_after_its_owner_was_disabled,
        nothing_of_a_deleted_owner_is_valid,
        no_session_survives_a_sign_in_while_its_user_is_disabled;
    credentials:
        no_successor_survives_its_revocation,
        a_token_is_rotated_once,
        no_sign_in_with_the_old_password_survives_its_change,
        an_ended_session_creates_nothing;
    limits:
        creations_stop_at_the_limit,
        creations_in_an_environment_stop_at_its_limit,
        reservations_stop_at_the_quota,
        an_address_is_given_to_one_user,
        sixteen_equal_requests_make_one_token;
    powers:
        an_administrator_who_loses_the_role_grants_nothing,
        a_member_who_loses_the_role_creates_nothing,
        one_administrator_stays,
        nothing_is_created_in_a_deleted_environment;
}
