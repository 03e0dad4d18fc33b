//! The statements of searches read an index that has their order.

use super::{statements::plan, *};
use crate::store::{
    SortTime, TokenFilter, TokenSearchQuery,
    sql::token_search::{Section, statement},
};

#[test]
fn every_page_of_a_search_is_read_from_its_index() {
    let directory = directory();
    let store = open(&directory);
    let owner = TokenFilter { owner: Some(UserId::new(Uuid::now_v7())), ..TokenFilter::default() };
    let environment = TokenFilter { environment: Some(EnvironmentId::new(Uuid::now_v7())), ..TokenFilter::default() };
    let both = TokenFilter { environment: environment.environment, ..owner.clone() };
    let by_number = "SEARCH t USING INTEGER PRIMARY KEY";
    let by_owner = "SEARCH t USING INDEX tokens_by_owner (owner_id=?";
    let by_environment = "SEARCH t USING INDEX tokens_by_environment (environment_id=?";
    let cases = [
        (TokenFilter::default(), SortTime::Created, Section::WithTime, by_number, true),
        (
            TokenFilter::default(),
            SortTime::Expires,
            Section::WithTime,
            "SEARCH t USING INDEX tokens_by_expiry (expires_at",
            true,
        ),
        (TokenFilter::default(), SortTime::Expires, Section::WithoutTime, by_number, true),
        (
            TokenFilter::default(),
            SortTime::LastUsed,
            Section::WithTime,
            "SEARCH t USING INDEX tokens_by_last_use (last_used_at",
            true,
        ),
        (TokenFilter::default(), SortTime::LastUsed, Section::WithoutTime, by_number, true),
        (owner.clone(), SortTime::Created, Section::WithTime, by_owner, true),
        // The few tokens of one owner or environment are sorted.
        (owner.clone(), SortTime::Expires, Section::WithTime, by_owner, false),
        (owner, SortTime::LastUsed, Section::WithoutTime, by_owner, true),
        (environment.clone(), SortTime::Created, Section::WithTime, by_environment, true),
        (environment, SortTime::LastUsed, Section::WithTime, by_environment, false),
        (both, SortTime::Created, Section::WithTime, by_environment, true),
    ];
    for (filter, sort, section, first, is_ordered) in cases {
        for descending in [true, false] {
            let query = TokenSearchQuery { filter: filter.clone(), sort, descending, after: None, limit: 9 };
            let plan = plan(&store, &statement(&query, section));
            assert!(plan[0].starts_with(first), "{query:?}: {plan:?}");
            assert!(plan.contains(&"SEARCH u USING PRIMARY KEY (id=?)".to_owned()), "{plan:?}");
            assert!(!plan.iter().any(|step| step.starts_with("SCAN")), "{plan:?}");
            let sorts = plan.iter().any(|step| step == "USE TEMP B-TREE FOR ORDER BY");
            assert_eq!(sorts, !is_ordered, "{query:?}: {plan:?}");
        }
    }
}
