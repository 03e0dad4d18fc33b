//! Which ended rows every store must delete, and which it must keep.

use super::{
    environments::{add_environment, successor, token_of},
    rotation::{add_new, already_rotated, record, rotation},
    *,
};
use patd::store::{RetentionCutoff, Rotation, SealPlan};

fn ended_by(seconds: i64) -> RetentionCutoff {
    RetentionCutoff { ended_by: at(seconds), unused_since: None }
}

/// Prunes the tokens after a row number. Returns how many.
async fn prune(store: &TestStore, cutoff: RetentionCutoff, after: i64) -> u64 {
    let ended = store.ended_tokens(cutoff, after).await.unwrap();
    assert_eq!(ended.next, None);
    store.prune_tokens(ended.tokens, cutoff).await.unwrap()
}

async fn known(store: &TestStore, hashes: &[TokenHash]) -> Vec<bool> {
    let mut known = Vec::new();
    for hash in hashes {
        known.push(store.token_by_hash(hash).await.unwrap().is_some());
    }
    known
}

fn with_quota(new: NewToken) -> NewToken {
    NewToken { limits: UsageLimits { quota: Some(100), ..UsageLimits::default() }.boxed(), ..new }
}

pub(super) async fn ended_tokens_are_pruned_and_the_first_of_a_family_last(store: &TestStore) {
    let ada = add(store, "ada").await;
    let ending = |end| NewToken { expires_at: Some(at(end)), ..new_token(ada.id, "ends") };
    let (ended, ends) = (ending(3000), ending(3001));
    add_new(store, &ended).await;
    let last = add_new(store, &ends).await;
    let revoked = new_token(ada.id, "revoked");
    add_new(store, &revoked).await;
    store.revoke_token(ada.id, revoked.id, REASON, by(3000)).await.unwrap();
    let first = with_quota(new_token(ada.id, "rotated"));
    let (mut newest, mut family) = (add_new(store, &first).await, vec![first.hash]);
    let reserved = store.reserve_uses(newest.id).await.unwrap();
    for _ in 0..3 {
        let request = rotation(&newest);
        newest = store.rotate_token(request.clone(), by(2000)).await.unwrap().token;
        family.push(request.hash);
    }
    known(store, &family).await;
    known(store, &[ended.hash, revoked.hash]).await;

    let events = store.events_of(ada.id, None, 100).await.unwrap();
    assert_eq!(prune(store, ended_by(1999), 0).await, 0);
    // Only the second of the family: it ended when the third was rotated. The third is in its grace period until 2060.
    assert_eq!(prune(store, ended_by(2059), 0).await, 1);
    assert_eq!(known(store, &family).await, [true, false, true, true]);
    assert_eq!(prune(store, ended_by(3000), last.number).await, 2, "tokens after that number");
    assert_eq!(known(store, &family).await, [true, false, false, true]);
    assert_eq!(prune(store, ended_by(3000), 0).await, 1);
    assert_eq!(known(store, &[ended.hash, revoked.hash]).await, [false, false]);
    assert_eq!(record(store, &ends.hash).await.token, last);
    assert_eq!(
        store.taken_uses(vec![newest.id]).await,
        Ok(vec![(newest.id, reserved)]),
        "the quota does not start again"
    );
    assert_eq!(store.events_of(ada.id, None, 100).await.unwrap(), events);
    store.revoke_token(ada.id, newest.id, REASON, by(3000)).await.unwrap();
    assert_eq!(prune(store, ended_by(3000), 0).await, 1);
    assert_eq!(known(store, &family).await, [true, false, false, false]);
    assert_eq!(prune(store, ended_by(3000), 0).await, 1, "the first of the family comes last");
    assert_eq!(known(store, &family).await, [false; 4]);
}

pub(super) async fn a_successor_is_kept_while_its_predecessor_is_valid(store: &TestStore) {
    let ada = add(store, "ada").await;
    let old = add_token(store, &ada, "ci").await;
    let successor = store.rotate_token(rotation(&old), by(2000)).await.unwrap().token;
    store.revoke_token(ada.id, successor.id, REASON, by(2001)).await.unwrap();
    let unused = RetentionCutoff { ended_by: at(2059), unused_since: Some(at(2058)) };
    for cutoff in [ended_by(2059), unused] {
        assert_eq!(prune(store, cutoff, 0).await, 0);
    }
    let again = Rotation { replace_unused: true, ..rotation(&old) };
    assert_eq!(
        store.rotate_token(again, by(2059)).await,
        Err(already_rotated(&successor)),
        "the successor was revoked"
    );
    assert_eq!(prune(store, ended_by(2060), 0).await, 1);
    assert_eq!(prune(store, ended_by(2060), 0).await, 1);
}

pub(super) async fn tokens_of_environments_are_pruned_like_personal_ones(store: &TestStore) {
    let ada = add(store, "ada").await;
    let environment = add_environment(store, &ada, "e").await;
    let mut hashes = Vec::new();
    let mut make = async |new: NewToken| {
        hashes.push(new.hash);
        store.add_environment_token(ada.id, new, 9, by(1000)).await.unwrap()
    };
    make(NewToken { expires_at: Some(at(3000)), ..token_of(&environment) }).await;
    let revoked = make(token_of(&environment)).await;
    let first = make(with_quota(token_of(&environment))).await;
    make(token_of(&environment)).await;
    let id = environment.id;
    store.revoke_environment_token(ada.id.into(), id, revoked.id, REASON, by(3000)).await.unwrap();
    let reserved = store.reserve_uses(first.id).await.unwrap();
    let next = store.regenerate_environment_token(ada.id, id, first.id, successor(), by(2000)).await.unwrap().token;
    known(store, &hashes).await;
    assert_eq!(prune(store, ended_by(2999), 0).await, 0);
    assert_eq!(prune(store, ended_by(3000), 0).await, 2);
    assert_eq!(known(store, &hashes).await, [false, false, true, true]);
    assert_eq!(store.taken_uses(vec![next.id]).await, Ok(vec![(next.id, reserved)]));
}

pub(super) async fn unused_tokens_are_pruned_unless_used_or_replaced_in_the_meantime(store: &TestStore) {
    let ada = add(store, "ada").await;
    let environment = add_environment(store, &ada, "e").await;
    let [idle, used, meanwhile] = [0; 3].map(|_| new_token(ada.id, "ci"));
    add_new(store, &idle).await;
    let [used_number, meanwhile_number] = [add_new(store, &used).await.number, add_new(store, &meanwhile).await.number];
    let replaced = with_quota(token_of(&environment));
    store.add_environment_token(ada.id, replaced.clone(), 9, by(1000)).await.unwrap();
    let record_use = async |number, seconds| {
        store.record_uses(Uses { tokens: vec![(number, at(seconds))], sessions: Vec::new() }).await.unwrap();
    };
    record_use(used_number, 1501).await;
    let hashes = [idle.hash, used.hash, meanwhile.hash, replaced.hash];
    known(store, &hashes).await;

    let since = |seconds| RetentionCutoff { ended_by: at(500), unused_since: Some(at(seconds)) };
    assert_eq!(prune(store, since(999), 0).await, 0);
    let found = store.ended_tokens(since(1500), 0).await.unwrap().tokens;
    assert_eq!(found.len(), 3);
    record_use(meanwhile_number, 1501).await;
    store.regenerate_environment_token(ada.id, environment.id, replaced.id, successor(), by(1501)).await.unwrap();
    assert_eq!(store.prune_tokens(found, since(1500)).await, Ok(1));
    assert_eq!(known(store, &hashes).await, [false, true, true, true]);
}

pub(super) async fn only_the_oldest_events_are_pruned(store: &TestStore) {
    let ada = add(store, "ada").await;
    let refused = || Entry::refused(Some(ada.id), Action::SignInRefused, "wrong_password");
    let now = at(10_000);
    let seal = async || {
        while store.seal_events(SealPlan { max_events: 400, open_since: now, now }).await.unwrap().is_some() {}
    };
    join_all((0..700).map(|_| store.record_refusal(refused(), by(1001)))).await;
    assert_eq!(store.prune_events(at(1002), now).await, Ok(0), "no event is sealed");
    seal().await;
    // One event has a time in the future: the clock was ahead.
    store.record_refusal(refused(), by(9000)).await.unwrap();
    seal().await;
    let more = join_all((0..2).map(|_| store.record_refusal(refused(), by(1001)))).await;
    assert_eq!(more.len(), 2);
    seal().await;
    for seconds in [1002, 1003] {
        store.record_refusal(refused(), by(seconds)).await.unwrap();
    }
    let kept = async || {
        let events = store.events_of(ada.id, None, 1000).await.unwrap();
        events.iter().map(|event| event.by.at.unix()).collect::<Vec<_>>()
    };
    assert_eq!(store.prune_events(at(1000), now).await, Ok(0));
    let (mut pruned, mut writes) = (0, 0);
    loop {
        match store.prune_events(at(1002), now).await.unwrap() {
            0 => break,
            some => pruned += some,
        }
        writes += 1;
    }
    assert_eq!(pruned, 703, "the last one is her user.created event");
    assert!(writes > 1, "pruning takes several changes");
    assert_eq!(kept().await, [1003, 1002, 9000]);
    store.record_refusal(refused(), by(1004)).await.unwrap();
    assert_eq!(kept().await.len(), 4, "new events are still recorded");
}
