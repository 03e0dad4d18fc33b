//! The cache against a store that can be held between reading and answering, and against other processes on its file.

#![expect(clippy::unwrap_used, reason = "a failed test is told by its panic")]

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
        Backend, CredentialSource, Credentials, Observer, Reply, SignIn, Store, StoreError, Uses,
        cache::{Capacity, CredentialCache},
        sqlite::{Access, SqliteSettings, SqliteStore},
    },
};
use tempfile::TempDir;
use uuid::Uuid;

use rig::*;

#[test]
fn a_record_that_was_read_before_a_revocation_is_never_served_after_its_answer() {
    let rig = Rig::new();
    let (id, hash) = rig.token();
    while_a_look_up_is_held(&rig, &hash, || rig.revoke(id));
    assert!(!rig.is_live(&hash), "the fill that crossed the revocation was served");
}

#[test]
fn an_absence_that_was_read_before_an_addition_is_never_served_after_its_answer() {
    let rig = Rig::new();
    let token = rig.new_token();
    let hash = token.hash;
    while_a_look_up_is_held(&rig, &hash, || drop(wait(rig.store.add_token(token, 1000, by())).unwrap()));
    assert!(rig.is_live(&hash));
}

#[test]
fn a_record_that_was_read_before_its_owner_was_disabled_is_never_served_after_the_answer() {
    let rig = Rig::new();
    let (_, hash) = rig.token();
    while_a_look_up_is_held(&rig, &hash, || drop(wait(rig.store.disable_user(rig.ada.id, by())).unwrap()));
    assert!(!rig.is_live(&hash));
}

#[test]
fn a_record_that_was_read_before_another_process_changed_it_is_not_served_for_long() {
    let rig = Rig::new();
    let (id, hash) = rig.token();
    let other = rig.command_line();
    while_a_look_up_is_held(&rig, &hash, || drop(wait(other.revoke_token(rig.ada.id, id, REASON, by())).unwrap()));
    ends_in_time(Instant::now(), || rig.is_live(&hash));
}

#[test]
fn a_known_secret_and_an_unknown_one_are_looked_up_once() {
    let rig = Rig::new();
    let (_, hash) = rig.token();
    let unknown = secret(CredentialKind::PersonalAccessToken).hash();
    let asked = rig.look_ups(|| {
        for _ in 0..5 {
            assert!(rig.is_live(&hash));
            assert!(!rig.is_live(&unknown));
        }
    });
    assert_eq!(asked, 2);
}

#[test]
fn a_change_costs_a_look_up_of_what_it_touched_alone() {
    let rig = Rig::new();
    let ((id, touched), (_, other)) = (rig.warm_token(), rig.warm_token());
    let unknown = secret(CredentialKind::PersonalAccessToken).hash();
    assert!(!rig.is_live(&unknown));
    let name = Name::parse("renamed").unwrap();
    wait(rig.store.rename_token(rig.ada.id, id, name.clone(), by())).unwrap();
    assert_eq!(rig.look_ups(|| assert!(rig.is_live(&other) && !rig.is_live(&unknown))), 0);
    let found = wait(rig.cache.token_by_hash(&touched)).unwrap().unwrap();
    assert_eq!(found.token.name, name);
}

#[test]
fn a_revocation_whose_caller_left_counts_once_it_is_made() {
    let rig = Rig::new();
    // Once while the write waits in its queue, and once at any moment of its way.
    for patience in [Duration::ZERO, Duration::from_micros(50), Duration::from_micros(300), Duration::from_millis(1)] {
        for _ in 0..25 {
            let (id, hash) = rig.warm_token();
            let mut revocation = rig.store.revoke_token(rig.ada.id, id, REASON, by());
            let begun = Instant::now();
            let mut cx = Context::from_waker(Waker::noop());
            let mut answered = false;
            while !answered && begun.elapsed() < patience {
                answered = matches!(std::pin::Pin::new(&mut revocation).poll(&mut cx), Poll::Ready(_));
            }
            drop(revocation);
            // The writer takes one after the other: when this is answered, that has its fate.
            wait(rig.store.record_uses(Uses::default())).unwrap();
            let made = wait(rig.store.token(id)) == Err(StoreError::NotFound);
            assert_eq!(rig.is_live(&hash), !made);
            assert!(made || !answered);
        }
    }
}

#[test]
fn a_look_up_that_fails_is_not_kept() {
    let rig = Rig::new();
    let (_, hash) = rig.token();
    rig.inner.fails.store(true, Ordering::SeqCst);
    assert!(wait(rig.cache.token_by_hash(&hash)).is_err());
    rig.inner.fails.store(false, Ordering::SeqCst);
    assert!(rig.is_live(&hash));
}

#[test]
fn look_ups_of_one_secret_that_are_under_way_are_one() {
    let rig = Rig::new();
    let (_, hash) = rig.token();
    let gate = Arc::new(tokio::sync::Semaphore::new(0));
    *rig.inner.pending.lock().unwrap() = Some(Arc::clone(&gate));
    let found = block_on(async {
        let asking = join_all((0..64).map(|_| rig.cache.token_by_hash(&hash)));
        let opening = async {
            tokio::task::yield_now().await;
            // One permit: were there two look-ups, this would never end.
            gate.add_permits(1);
        };
        tokio::join!(asking, opening).0
    });
    assert!(found.iter().all(|found| found.as_ref().unwrap().is_some()));
}

#[test]
fn who_asks_after_a_revocation_does_not_get_the_answer_of_a_look_up_before_it() {
    let rig = Rig::new();
    let (id, hash) = rig.token();
    let gate = Arc::new(tokio::sync::Semaphore::new(0));
    *rig.inner.pending.lock().unwrap() = Some(Arc::clone(&gate));
    block_on(async {
        let mut before = Box::pin(rig.cache.token_by_hash(&hash));
        assert!((&mut before).now_or_never().is_none());
        rig.store.revoke_token(rig.ada.id, id, REASON, by()).await.unwrap();
        let mut after = Box::pin(rig.cache.token_by_hash(&hash));
        assert!((&mut after).now_or_never().is_none(), "it waits for the one before");
        gate.add_permits(2);
        let (before, after) = tokio::join!(before, after);
        assert!(before.unwrap().unwrap().token.revoked.is_none(), "it was asked for before");
        assert!(after.unwrap().unwrap().token.revoked.is_some());
    });
}

#[test]
fn a_look_up_whose_maker_leaves_is_made_by_who_waits() {
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
fn what_another_process_changes_is_seen_in_a_tenth_of_a_second() {
    let rig = Rig::new();
    let other = rig.command_line();
    for _ in 0..10 {
        let ((id, revoked), added) = (rig.warm_token(), rig.new_token());
        let hash = added.hash;
        assert!(!rig.is_live(&hash));
        wait(other.revoke_token(rig.ada.id, id, REASON, by())).unwrap();
        ends_in_time(Instant::now(), || rig.is_live(&revoked));
        wait(other.add_token(added, 1000, by())).unwrap();
        ends_in_time(Instant::now(), || !rig.is_live(&hash));
    }
    let (_, hash) = rig.warm_token();
    wait(other.disable_user(rig.ada.id, by())).unwrap();
    ends_in_time(Instant::now(), || rig.is_live(&hash));
}

#[test]
fn changes_of_ones_own_are_no_other_processes() {
    let rig = Rig::new();
    let (_, hash) = rig.warm_token();
    for _ in 0..50 {
        rig.token();
    }
    rig.wait_until_coherent();
    assert_eq!(rig.look_ups(|| assert!(rig.is_live(&hash))), 0);
}

#[test]
fn where_the_writer_is_held_up_nothing_is_served_from_memory_for_long() {
    let rig = Rig::new();
    let (id, hash) = rig.warm_token();
    let other = rusqlite::Connection::open(rig.path()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    // The server's own write waits for it, and with it the thread that looks for others' changes.
    let waiting = rig.store.rename_token(rig.ada.id, id, Name::parse("later").unwrap(), by());
    ends_in_time(Instant::now(), || rig.store.is_coherent());
    for _ in 0..3 {
        assert_eq!(rig.look_ups(|| assert!(rig.is_live(&hash))), 1, "the store is asked each time");
    }
    drop(other);
    wait(waiting).unwrap();
    rig.wait_until_coherent();
}

#[test]
fn a_file_that_vanished_answers_nothing_from_memory_for_long() {
    let rig = Rig::new();
    let (_, hash) = rig.warm_token();
    let elsewhere = rig.directory.path().join("moved");
    std::fs::rename(rig.path(), &elsewhere).unwrap();
    ends_in_time(Instant::now(), || wait(rig.cache.token_by_hash(&hash)).is_ok());
    std::fs::rename(&elsewhere, rig.path()).unwrap();
    eventually(|| wait(rig.cache.token_by_hash(&hash)).is_ok());
}

#[test]
fn a_session_that_is_used_stays_alive_however_long_its_record_is_kept() {
    let rig = Rig::new();
    let day = Duration::from_hours(24);
    let time = Arc::new(std::sync::atomic::AtomicI64::new(1_000_000));
    let told = Arc::clone(&time);
    let config = Config::load(Sources {
        flags: vec![("passwords.memory_kib", "8".into()), ("passwords.iterations", "1".into())],
        ..Sources::default()
    })
    .unwrap();
    let Rig { cache, store, ada, directory: _directory, .. } = rig;
    let backend = Backend { store, credentials: Arc::new(cache) };
    let ctx = ops::Context::new(&config, backend, Clock::new(move || at(told.load(Ordering::SeqCst)))).unwrap();
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
        // It is idle after seven days.
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
