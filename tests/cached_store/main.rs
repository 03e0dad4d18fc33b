//! Tests of the cache over a store whose answers can be delayed, and with other processes that change its file.

#![expect(clippy::unwrap_used, reason = "a panic fails the test")]

mod rig;

use std::{
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
        mpsc,
    },
    task::{Context, Poll, Waker},
    thread,
    time::{Duration, Instant},
};

use futures_util::{FutureExt, future::join_all};
use patd::{
    config::{Config, Sources},
    domain::{
        ability::Abilities,
        account::{Email, PasswordHash, User},
        audit::{Attribution, RequestSource},
        id::{EnvironmentId, SessionId, TokenId, UserId},
        secret::{CredentialKind, Plaintext, Prefixes, TokenHash},
        session::{NewSession, Session, SessionRecord},
        text::Name,
        time::Timestamp,
        token::{NewToken, RevocationReason, TokenRecord},
    },
    ops::{
        self,
        clock::Clock,
        verification::{self, Caller},
    },
    store::{
        Access, Backend, CredentialSource, Credentials, LastAdmin, Observer, Reply, SignIn, Store, StoreError,
        TokenChange, UserAdministration, Uses,
        cache::{Capacity, CredentialCache},
        sqlite::{SqliteSettings, SqliteStore},
    },
};
use tempfile::TempDir;
use uuid::Uuid;

use rig::*;

#[test]
fn a_record_read_before_a_revocation_is_not_served_after_it() {
    let rig = Rig::new();
    let (id, hash) = rig.token();
    during_a_delayed_lookup(&rig, &hash, || rig.revoke(id));
    assert!(!rig.is_live(&hash), "the cache served a record that was read before the revocation");
}

#[test]
fn an_absence_read_before_a_creation_is_not_served_after_it() {
    let rig = Rig::new();
    let token = rig.new_token();
    let hash = token.hash;
    during_a_delayed_lookup(&rig, &hash, || drop(wait(rig.store.add_token(token, 1000, by())).unwrap()));
    assert!(rig.is_live(&hash));
}

#[test]
fn a_record_read_before_its_owner_was_disabled_is_not_served_after_that() {
    let rig = Rig::new();
    let (_, hash) = rig.token();
    during_a_delayed_lookup(&rig, &hash, || {
        drop(wait(rig.store.disable_user(rig.ada.id, LastAdmin::MayGo, by())).unwrap())
    });
    assert!(!rig.is_live(&hash));
}

#[test]
fn a_record_read_before_a_change_by_another_process_is_served_for_100_ms_at_most() {
    let rig = Rig::new();
    let (id, hash) = rig.token();
    let other = rig.command_line();
    during_a_delayed_lookup(&rig, &hash, || drop(wait(other.revoke_token(rig.ada.id, id, REASON, by())).unwrap()));
    assert_ends_in_time(Instant::now(), || rig.is_live(&hash));
}

#[test]
fn known_and_unknown_secrets_are_read_from_the_store_once() {
    let rig = Rig::new();
    let (_, hash) = rig.token();
    let unknown = secret(CredentialKind::PersonalAccessToken).hash();
    let reads = rig.lookups(|| {
        for _ in 0..5 {
            assert!(rig.is_live(&hash));
            assert!(!rig.is_live(&unknown));
        }
    });
    assert_eq!(reads, 2);
}

#[test]
fn a_change_invalidates_only_the_changed_record() {
    let rig = Rig::new();
    let ((id, touched), (_, other)) = (rig.warm_token(), rig.warm_token());
    let unknown = secret(CredentialKind::PersonalAccessToken).hash();
    assert!(!rig.is_live(&unknown));
    let name = Name::parse("renamed").unwrap();
    wait(rig.store.change_token(rig.ada.id, id, TokenChange::rename(name.clone()), by())).unwrap();
    assert_eq!(rig.lookups(|| assert!(rig.is_live(&other) && !rig.is_live(&unknown))), 0);
    let found = wait(rig.cache.token_by_hash(&touched)).unwrap().unwrap();
    assert_eq!(found.token.name, name);
}

#[test]
fn a_revocation_takes_effect_even_if_its_caller_has_left() {
    let rig = Rig::new();
    // The caller leaves while the write is queued, or at some moment later.
    for wait_time in [Duration::ZERO, Duration::from_micros(50), Duration::from_micros(300), Duration::from_millis(1)] {
        for _ in 0..25 {
            let (id, hash) = rig.warm_token();
            let mut revocation = rig.store.revoke_token(rig.ada.id, id, REASON, by());
            let begun = Instant::now();
            let mut cx = Context::from_waker(Waker::noop());
            let mut answered = false;
            while !answered && begun.elapsed() < wait_time {
                answered = matches!(std::pin::Pin::new(&mut revocation).poll(&mut cx), Poll::Ready(_));
            }
            drop(revocation);
            // The writer works in order: when this write is answered, the revocation is done or discarded.
            wait(rig.store.record_uses(Uses::default())).unwrap();
            let is_revoked = wait(rig.store.token(id)) == Err(StoreError::NotFound);
            assert_eq!(rig.is_live(&hash), !is_revoked);
            assert!(is_revoked || !answered);
        }
    }
}

#[test]
fn a_failed_lookup_is_not_cached() {
    let rig = Rig::new();
    let (_, hash) = rig.token();
    rig.inner.fails.store(true, Ordering::SeqCst);
    assert!(wait(rig.cache.token_by_hash(&hash)).is_err());
    rig.inner.fails.store(false, Ordering::SeqCst);
    assert!(rig.is_live(&hash));
}

#[test]
fn concurrent_lookups_of_one_secret_share_one_read() {
    let rig = Rig::new();
    let (_, hash) = rig.token();
    let gate = Arc::new(tokio::sync::Semaphore::new(0));
    *rig.inner.pending.lock().unwrap() = Some(Arc::clone(&gate));
    let found = block_on(async {
        let lookups = join_all((0..64).map(|_| rig.cache.token_by_hash(&hash)));
        let release = async {
            tokio::task::yield_now().await;
            // There is one permit, so a second read would never end.
            gate.add_permits(1);
        };
        tokio::join!(lookups, release).0
    });
    assert!(found.iter().all(|found| found.as_ref().unwrap().is_some()));
}

#[test]
fn a_lookup_after_a_revocation_does_not_share_an_earlier_read() {
    let rig = Rig::new();
    let (id, hash) = rig.token();
    let gate = Arc::new(tokio::sync::Semaphore::new(0));
    *rig.inner.pending.lock().unwrap() = Some(Arc::clone(&gate));
    block_on(async {
        let mut before = Box::pin(rig.cache.token_by_hash(&hash));
        assert!((&mut before).now_or_never().is_none());
        rig.store.revoke_token(rig.ada.id, id, REASON, by()).await.unwrap();
        let mut after = Box::pin(rig.cache.token_by_hash(&hash));
        assert!((&mut after).now_or_never().is_none(), "it waits until the earlier read ends");
        gate.add_permits(2);
        let (before, after) = tokio::join!(before, after);
        assert!(before.unwrap().unwrap().token.revoked.is_none(), "it was requested before the revocation");
        assert!(after.unwrap().unwrap().token.revoked.is_some());
    });
}

#[test]
fn a_waiter_continues_a_lookup_whose_first_caller_left() {
    let rig = Rig::new();
    let (_, hash) = rig.token();
    let gate = Arc::new(tokio::sync::Semaphore::new(0));
    *rig.inner.pending.lock().unwrap() = Some(Arc::clone(&gate));
    block_on(async {
        let mut first = Box::pin(rig.cache.token_by_hash(&hash));
        assert!((&mut first).now_or_never().is_none());
        let mut second = Box::pin(rig.cache.token_by_hash(&hash));
        assert!((&mut second).now_or_never().is_none());
        drop(first);
        gate.add_permits(1);
        assert!(second.await.unwrap().is_some());
    });
}

#[test]
fn changes_by_another_process_are_visible_within_100_ms() {
    let rig = Rig::new();
    let other = rig.command_line();
    for _ in 0..10 {
        let ((id, revoked), added) = (rig.warm_token(), rig.new_token());
        let hash = added.hash;
        assert!(!rig.is_live(&hash));
        wait(other.revoke_token(rig.ada.id, id, REASON, by())).unwrap();
        assert_ends_in_time(Instant::now(), || rig.is_live(&revoked));
        wait(other.add_token(added, 1000, by())).unwrap();
        assert_ends_in_time(Instant::now(), || !rig.is_live(&hash));
    }
    let (_, hash) = rig.warm_token();
    wait(other.disable_user(rig.ada.id, LastAdmin::MayGo, by())).unwrap();
    assert_ends_in_time(Instant::now(), || rig.is_live(&hash));
}

#[test]
fn own_changes_are_not_taken_for_changes_by_other_processes() {
    let rig = Rig::new();
    let (_, hash) = rig.warm_token();
    for _ in 0..50 {
        rig.token();
    }
    rig.wait_until_coherent();
    assert_eq!(rig.lookups(|| assert!(rig.is_live(&hash))), 0);
}

#[test]
fn a_blocked_writer_stops_the_use_of_cached_records_within_100_ms() {
    let rig = Rig::new();
    let (id, hash) = rig.warm_token();
    let other = rusqlite::Connection::open(rig.path()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    // The server's own write waits for the lock. The writer thread also polls for changes by others, so that stops too.
    let waiting = rig.store.change_token(rig.ada.id, id, TokenChange::rename(Name::parse("later").unwrap()), by());
    assert_ends_in_time(Instant::now(), || rig.store.is_coherent());
    for _ in 0..3 {
        assert_eq!(rig.lookups(|| assert!(rig.is_live(&hash))), 1, "each lookup reads the store");
    }
    drop(other);
    wait(waiting).unwrap();
    rig.wait_until_coherent();
}

#[test]
fn a_missing_database_file_stops_the_use_of_cached_records_within_100_ms() {
    let rig = Rig::new();
    let (_, hash) = rig.warm_token();
    let elsewhere = rig.directory.path().join("moved");
    std::fs::rename(rig.path(), &elsewhere).unwrap();
    assert_ends_in_time(Instant::now(), || wait(rig.cache.token_by_hash(&hash)).is_ok());
    std::fs::rename(&elsewhere, rig.path()).unwrap();
    eventually(|| wait(rig.cache.token_by_hash(&hash)).is_ok());
}

#[test]
fn a_used_session_does_not_become_idle_while_its_record_is_cached() {
    let rig = Rig::new();
    let day = Duration::from_hours(24);
    let time = Arc::new(std::sync::atomic::AtomicI64::new(1_000_000));
    let clock_time = Arc::clone(&time);
    let config = Config::load(Sources {
        flags: vec![("passwords.memory_kib", "8".into()), ("passwords.iterations", "1".into())],
        ..Sources::default()
    })
    .unwrap();
    let Rig { cache, store, ada, directory: _directory, .. } = rig;
    let backend = Backend { store, credentials: Arc::new(cache) };
    let ctx = ops::Context::new(&config, backend, Clock::new(move || at(clock_time.load(Ordering::SeqCst)))).unwrap();
    let plaintext = secret(CredentialKind::Session);
    let session = Session {
        id: SessionId::new(Uuid::now_v7()),
        user: ada.id,
        device_name: None,
        created_at: ctx.clock.now(),
        last_used_at: ctx.clock.now(),
        expires_at: ctx.clock.now().plus(25 * day),
    };
    let sign_in =
        SignIn { session: NewSession { session, hash: plaintext.hash() }, verified: password(), rehashed: None };
    block_on(async {
        ctx.store.sign_in(sign_in, by()).await.unwrap();
        let advance = |days: i64| time.fetch_add(days * 86_400, Ordering::SeqCst);
        // A session is idle after seven days without use.
        for _ in 0..4 {
            verification::authenticate(&ctx, plaintext.expose(), Caller::default()).await.unwrap();
            ctx.flush_uses().await.unwrap();
            advance(6);
        }
        verification::authenticate(&ctx, plaintext.expose(), Caller::default()).await.unwrap();
        advance(7);
        let refused = verification::authenticate(&ctx, plaintext.expose(), Caller::default()).await.unwrap_err();
        assert!(matches!(refused, ops::Error::Rejected(_)), "{refused}");
    });
}
