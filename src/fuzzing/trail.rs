//! The exported audit trail that a restore reads.

use std::collections::BTreeSet;

use crate::{
    domain::{
        audit::{Action, Outcome, Target},
        replay::{self, Replay, TrailEvent},
    },
    views::AdminEventView,
};

/// Each line is an event; their numbers begin with 1. An event that is read is read as the same after it was written. What a trail ends is what its
/// successful events name, and events that took nothing away end nothing.
pub fn trail(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let events: Vec<TrailEvent> = text.lines().filter_map(event).filter(|event| event.seq > 0).collect();
    let each = || events.iter().cloned().map(Ok::<_, ()>);
    let is_rising = events.windows(2).all(|pair| pair[0].seq < pair[1].seq);
    let is_whole = events.windows(2).all(|pair| pair[0].seq.checked_add(1) == Some(pair[1].seq));
    let read = replay::read(each(), None, false);
    assert_eq!(read.is_ok(), is_rising && !events.is_empty(), "{events:?}");
    assert_eq!(replay::read(each(), None, true).is_ok(), is_whole && !events.is_empty(), "{events:?}");
    let Ok((replay, last)) = read else { return };
    assert_eq!(replay.events, events.len() as u64);
    assert_eq!(last, events.last().map_or(i64::MIN, |event| event.seq));

    let did = |event: &&TrailEvent| event.entry.outcome == Outcome::Success;
    let ended = |event: &&TrailEvent| matches!(event.entry.action, Action::TokenRevoked | Action::TokenRotated);
    for event in events.iter().filter(did).filter(ended) {
        if let Target::PersonalAccessToken(id) | Target::EnvironmentToken(id) = event.entry.target {
            assert!(replay.ended_tokens.contains_key(&id), "{event:?}");
        }
    }
    assert!(replay.ended_tokens.len() <= events.iter().filter(did).filter(ended).count());

    last_one_decides(&events, &replay);

    // From the last event of a backup on, only what follows counts.
    for (at, last) in events.iter().enumerate() {
        let (continued, _) = replay::read(each(), Some(last), false).expect("the trail has the event");
        let (rest, _) = replay::read(events[at + 1..].iter().cloned().map(Ok::<_, ()>), None, false)
            .unwrap_or((Replay::default(), last.seq));
        assert_eq!(continued, rest, "after {}", last.seq);
    }
}

/// Of two events that undo each other, the last one decides.
fn last_one_decides(events: &[TrailEvent], replay: &Replay) {
    let mut disabled = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for TrailEvent { entry, .. } in events.iter().rev().filter(|event| event.entry.outcome == Outcome::Success) {
        let is_last = |pair: [Action; 2]| {
            let of_pair = |other: &&TrailEvent| {
                let other = &other.entry;
                other.outcome == Outcome::Success && other.target == entry.target && pair.contains(&other.action)
            };
            events.iter().rev().find(of_pair).is_some_and(|last| last.entry.action == pair[0])
        };
        match entry.target {
            Target::PersonalAccessToken(id) | Target::EnvironmentToken(id)
                if is_last([Action::TokenDisabled, Action::TokenEnabled]) =>
            {
                disabled.0.insert(id);
            }
            Target::User(id) if is_last([Action::UserDisabled, Action::UserEnabled]) => {
                disabled.1.insert(id);
            }
            Target::ServiceAccount(id) if is_last([Action::ServiceAccountDisabled, Action::ServiceAccountEnabled]) => {
                disabled.2.insert(id);
            }
            _ => {}
        }
    }
    // One id names a token of either kind.
    assert!(replay.disabled_tokens.is_subset(&disabled.0), "{events:?}");
    assert_eq!(replay.disabled_users, disabled.1, "{events:?}");
    assert_eq!(replay.disabled_service_accounts, disabled.2, "{events:?}");
}

fn event(line: &str) -> Option<TrailEvent> {
    let view: AdminEventView = serde_json::from_str(line).ok()?;
    let written = serde_json::to_string(&view).expect("it was JSON");
    let again: AdminEventView = serde_json::from_str(&written).unwrap_or_else(|error| panic!("{written}: {error}"));
    let event = TrailEvent::try_from(&view);
    assert_eq!(TrailEvent::try_from(&again), event, "{line} was written as {written}");
    let event = event.ok()?;
    assert_eq!(Action::parse(event.entry.action.as_str()), Ok(event.entry.action));
    Some(event)
}
