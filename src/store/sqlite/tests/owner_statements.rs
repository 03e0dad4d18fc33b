//! Query plans of the statements on owners, service accounts and what they own.

use super::{statements::plan, *};

#[test]
fn who_may_act_for_an_owner_is_found_by_primary_keys() {
    let directory = directory();
    let store = open(&directory);
    for sql in [owners::MANAGES, owners::ACTS_FOR, owners::ADDS_FOR] {
        for step in plan(&store, sql) {
            assert!(!step.contains("SCAN") || step == "SCAN CONSTANT ROW", "{step}");
            assert!(!step.starts_with("SEARCH") || step.contains("PRIMARY KEY"), "{step}");
        }
    }
}

#[test]
fn what_an_owner_owns_is_found_in_indexes_without_sorting() {
    let directory = directory();
    let store = open(&directory);
    for (sql, index) in [
        (owners::TOKENS, "tokens_by_owner (owner_id=?)"),
        (owners::ENVIRONMENTS, "environments_by_owner (owner_id=?)"),
        (owners::SERVICE_ACCOUNTS, "service_account_managers_by_user (user_id=?)"),
        (owned_environments::LIST, "SEARCH e USING PRIMARY KEY (id<?)"),
        (owned_environments::LIST_OF_OWNER, "environments_by_owner (owner_id=?"),
        (service_accounts::LIST, "users_service_accounts (id<?)"),
        (service_accounts::LIST_OF_MANAGER, "service_account_managers_by_user (user_id=? AND service_account_id<?)"),
        (service_accounts::MANAGERS, "PRIMARY KEY (service_account_id=?)"),
        (hand_over::OF_OWNER, "tokens_by_owner (owner_id=?)"),
        (hand_over::OF_FAMILY, "tokens_by_family (family_id=? AND rotated_from>?)"),
    ] {
        let plan = plan(&store, sql);
        assert!(plan.iter().any(|step| step.contains(index)), "{plan:?}");
        assert!(!plan.iter().any(|step| step.starts_with("SCAN") || step.contains("TEMP B-TREE")), "{plan:?}");
    }
}

#[test]
fn the_role_of_who_acts_is_found_by_ids() {
    let directory = directory();
    let store = open(&directory);
    for sql in [roles::ROLE_BY_SESSION, roles::ROLE_BY_TOKEN] {
        let plan = plan(&store, sql);
        assert!(plan.iter().all(|step| step.starts_with("SEARCH") && step.contains("id=?")), "{plan:?}");
    }
}
