//! The list of everybody's events, against a naive model.

use std::net::IpAddr;

use ipnet::IpNet;
use proptest::prelude::*;

use super::*;
use crate::{
    domain::{
        audit::{Action, Actor, Entry, Event, Outcome, Target},
        event_filter::{ActionFilter, EventFilter},
    },
    store::{AuditTrail, EventOrder, EventQuery},
};

const USERS: u128 = 4;
const EVENTS: i64 = 2000;

fn id(n: u128) -> Uuid {
    Uuid::from_u128(n)
}

fn user(n: u128) -> UserId {
    UserId::new(id(n))
}

/// Events of all kinds, from a simple generator with a fixed seed.
fn fill(store: &SqliteStore) -> Vec<Event> {
    let mut state = 1_u64;
    let mut draw = |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    let mut events = Vec::new();
    for seq in 1..=EVENTS {
        let who = user(u128::from(draw(USERS as u64)));
        let actor = match draw(5) {
            0 => Actor::CommandLine,
            1 => Actor::Anonymous,
            2 => Actor::EnvironmentToken(TokenId::new(id(50))),
            _ => Actor::personal_access_token(TokenId::new(id(60)), who),
        };
        let owner = user(u128::from(draw(USERS as u64)));
        let action = Action::ALL[draw(Action::ALL.len() as u64) as usize];
        let target = match draw(3) {
            0 => Target::User(owner),
            1 => Target::PersonalAccessToken(TokenId::new(id(u128::from(60 + draw(3))))),
            _ => Target::UnknownUser,
        };
        let address: Option<IpAddr> = match draw(4) {
            0 => None,
            1 => Some(format!("2001:db8::{}", draw(4)).parse().unwrap()),
            _ => Some(format!("192.0.{}.{}", draw(2), draw(4)).parse().unwrap()),
        };
        let by = Attribution {
            origin: RequestSource { actor, address, request_id: None, keyed: None },
            // Not always in the order of the numbers.
            at: Timestamp::from_unix(seq / 10 + draw(5) as i64),
        };
        let outcome = [Outcome::Success, Outcome::Refused][draw(2) as usize];
        let trail = (draw(5) > 0).then_some(owner);
        let entry = Entry { user: trail, action, target, outcome, detail: None };
        events.push(Event { seq, by, entry });
    }
    let written = events.clone();
    wait(store.writer.submit(Vec::new(), move |connection| {
        written.iter().try_for_each(|event| audit::record(connection, &event.by, &event.entry))
    }))
    .unwrap();
    events
}

fn matches(filter: &EventFilter, event: &Event) -> bool {
    let Event { by, entry, .. } = event;
    let action = |wanted: &ActionFilter| match wanted {
        ActionFilter::Exact(action) => *action == entry.action,
        ActionFilter::Prefix(prefix) => entry.action.as_str().starts_with(prefix),
    };
    filter.actor.is_none_or(|actor| by.origin.actor.user() == Some(actor))
        && filter
            .subject
            .is_none_or(|subject| entry.user.map(UserId::uuid) == Some(subject) || entry.target.id() == Some(subject))
        && filter.action.as_ref().is_none_or(action)
        && filter.outcome.is_none_or(|outcome| outcome == entry.outcome)
        && filter.address.is_none_or(|net| by.origin.address.is_some_and(|address| net.contains(&address)))
        && filter.from.is_none_or(|from| by.at.unix() >= from.unix())
        && filter.until.is_none_or(|until| by.at.unix() < until.unix())
}

fn filters() -> impl Strategy<Value = EventFilter> {
    let time = || prop::option::of((0_i64..210).prop_map(Timestamp::from_unix));
    let action = prop_oneof![
        (0..Action::ALL.len()).prop_map(|at| ActionFilter::Exact(Action::ALL[at])),
        prop::sample::select(vec!["token.", "user.", "session.", "sign_in."])
            .prop_map(|prefix| ActionFilter::Prefix(prefix.to_owned())),
    ];
    let networks = ["192.0.0.0/24", "192.0.1.2/32", "192.0.0.0/16", "2001:db8::/32", "2001:db8::1/128", "0.0.0.0/0"];
    let network = prop::sample::select(networks.map(|text| text.parse::<IpNet>().unwrap()).to_vec());
    (
        prop::option::of((0..=USERS).prop_map(user)),
        prop::option::of(prop::sample::select(vec![id(0), id(1), id(2), id(60), id(61), id(99)])),
        prop::option::of(action),
        prop::option::of(prop::sample::select(vec![Outcome::Success, Outcome::Refused])),
        prop::option::of(network),
        time(),
        time(),
    )
        .prop_map(|(actor, subject, action, outcome, address, from, until)| EventFilter {
            actor,
            subject,
            action,
            outcome,
            address,
            from,
            until,
        })
}

#[test]
fn every_filter_finds_what_a_naive_model_finds_in_pages_of_any_size() {
    let directory = directory();
    let store = open(&directory);
    let events = fill(&store);
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig { cases: 300, ..ProptestConfig::default() });
    let orders = prop::sample::select(vec![EventOrder::NewestFirst, EventOrder::OldestFirst]);
    let bounds = (prop::option::of(0..EVENTS), prop::option::of(0..EVENTS));
    runner
        .run(&(filters(), orders, bounds, 1_u32..400), |(filter, order, (after, before), limit)| {
            let mut expected: Vec<&Event> = events
                .iter()
                .filter(|event| matches(&filter, event))
                .filter(|event| after.is_none_or(|after| event.seq > after))
                .filter(|event| before.is_none_or(|before| event.seq < before))
                .collect();
            if order == EventOrder::NewestFirst {
                expected.reverse();
            }
            let mut query = EventQuery { filter, order, after, before, limit };
            let mut found: Vec<Event> = Vec::new();
            // Small pages of a long list take long, and the first ones show as much.
            for _ in 0..5 {
                let page = wait(store.events(query.clone())).unwrap();
                prop_assert!(page.len() <= limit as usize);
                match (order, page.last()) {
                    (_, None) => break,
                    (EventOrder::NewestFirst, Some(last)) => query.before = Some(last.seq),
                    (EventOrder::OldestFirst, Some(last)) => query.after = Some(last.seq),
                }
                found.extend(page);
            }
            expected.truncate(5 * limit as usize);
            prop_assert_eq!(found.iter().collect::<Vec<_>>(), expected);
            Ok(())
        })
        .unwrap();
}

#[test]
fn the_list_of_everybodys_events_uses_an_index_and_no_sort() {
    use crate::store::sql::audit::list;
    let directory = directory();
    let store = open(&directory);
    for sql in [list::NEWEST_FIRST, list::OLDEST_FIRST] {
        assert_eq!(
            statements::plan(&store, sql),
            ["SEARCH audit_events USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)"]
        );
    }
    for sql in [list::BY_ACTOR_NEWEST_FIRST, list::BY_ACTOR_OLDEST_FIRST] {
        assert_eq!(
            statements::plan(&store, sql),
            [
                "MERGE (UNION ALL)",
                "LEFT",
                "SEARCH audit_events USING INDEX audit_events_by_user (user_id=? AND seq>? AND seq<?)",
                "RIGHT",
                "SEARCH audit_events USING INDEX audit_events_by_other_actor (actor_user_id=? AND seq>? AND seq<?)",
            ]
        );
    }
}
