//! The counts of all tokens, in parts.

use patd::{domain::token_counts::TokenCounts, store::TokenCountQuery};

use super::*;

const DAY: i64 = 24 * 60 * 60;

pub(super) async fn tokens_are_counted_in_parts_by_kind_and_state(store: &TestStore) {
    let ada = add(store, "ada").await;
    let add_ending = async |text: &str, expires_at| {
        let token = NewToken { expires_at: Some(at(expires_at)), ..new_token(ada.id, text) };
        store.add_token(token, 1000, by(1000)).await.unwrap()
    };
    let now = 2000;
    add_token(store, &ada, "endless").await;
    add_ending("today", now + DAY).await;
    add_ending("this month", now + 30 * DAY).await;
    add_ending("expired", now).await;
    let revoked = add_ending("revoked, and expired since", now - 1).await;
    store.revoke_token(ada.id, revoked.id, RevocationReason::RevokedByOwner, by(1500)).await.unwrap();
    let disabled = add_ending("disabled", now + 1).await;
    store.disable_token(ada.id, disabled.id, by(1500)).await.unwrap();
    let of_environment = NewToken { environment: Some(ada.current_environment), ..new_token(ada.id, "e") };
    store.add_environment_token(ada.id, of_environment, 1000, by(1000)).await.unwrap();

    let all = TokenCounts { by_state: [[3, 1, 1, 1], [1, 0, 0, 0]], expiring: [1, 1, 2] };
    for limit in [1, 2, 7, 100] {
        let query = |after| TokenCountQuery { after, limit, now: at(now), idle_since: None };
        let (mut counts, mut next, mut reads) = (TokenCounts::default(), Some(0), 0);
        while let Some(after) = next {
            let (part, rest) = store.count_some_tokens(query(after)).await.unwrap();
            counts.add(&part);
            (next, reads) = (rest, reads + 1);
        }
        assert_eq!(counts, all, "in parts of {limit}");
        assert_eq!(reads, 7 / limit + 1, "in parts of {limit}");
    }
    let idle = TokenCountQuery { after: 0, limit: 100, now: at(now), idle_since: Some(at(1000)) };
    let (counts, _) = store.count_some_tokens(idle).await.unwrap();
    assert_eq!(counts.by_state, [[0, 0, 5, 1], [0, 0, 1, 0]], "nothing was used since it was created");
}
