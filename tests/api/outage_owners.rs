//! The store that fails on purpose: its methods on owners, service accounts and the environments of everybody.

use patd::{
    domain::{
        account_state::Account,
        audit::Attribution,
        authority::Authority,
        environment::{EnvironmentAccess, OwnedEnvironment},
        id::{EnvironmentId, UserId},
        owner::{HandedOver, Owned, Owner, ServiceAccountDetails},
        time::Timestamp,
    },
    store::{
        EnvironmentAdministration, HandOver, LastAdmin, NewServiceAccount, OwnedEnvironmentQuery, Ownership, Reply,
        ServiceAccountChange, ServiceAccountQuery, ServiceAccounts, Transfer,
    },
};

use crate::outage::{Faulty, READS_FAIL, WRITES_FAIL, delegate};

delegate! {
    Ownership:
    READS_FAIL {
        fn owner(&self, id: UserId) -> Owner;
        fn manages(&self, user: UserId, owner: UserId) -> bool;
        fn environment_without_role(&self, user: UserId, id: EnvironmentId) -> EnvironmentAccess;
        fn owned_by(&self, owner: UserId, now: Timestamp, limit: u32) -> Owned;
    }
    WRITES_FAIL {
        fn hand_over(&self, hand_over: HandOver, by: Attribution) -> HandedOver;
        fn hand_over_and_disable(&self, user: UserId, transfer: Transfer, last: LastAdmin, by: Attribution) -> (Account, HandedOver);
    }
}

delegate! {
    ServiceAccounts:
    READS_FAIL {
        fn service_account(&self, authority: Authority, id: UserId) -> ServiceAccountDetails;
        fn service_accounts(&self, authority: Authority, query: ServiceAccountQuery) -> Vec<ServiceAccountDetails>;
    }
    WRITES_FAIL {
        fn add_service_account(&self, new: NewServiceAccount, by: Attribution) -> ServiceAccountDetails;
        fn change_service_account(&self, authority: Authority, id: UserId, change: ServiceAccountChange, by: Attribution) -> ServiceAccountDetails;
        fn disable_service_account(&self, id: UserId, by: Attribution) -> ServiceAccountDetails;
        fn enable_service_account(&self, id: UserId, by: Attribution) -> ServiceAccountDetails;
        fn delete_service_account(&self, id: UserId, by: Attribution) -> ();
        fn add_manager(&self, id: UserId, user: UserId, by: Attribution) -> ServiceAccountDetails;
        fn remove_manager(&self, id: UserId, user: UserId, by: Attribution) -> ServiceAccountDetails;
    }
}

delegate! {
    EnvironmentAdministration:
    READS_FAIL {
        fn owned_environment(&self, id: EnvironmentId) -> OwnedEnvironment;
        fn owned_environments(&self, query: OwnedEnvironmentQuery) -> Vec<OwnedEnvironment>;
    }
    WRITES_FAIL {
        fn transfer_environment(&self, id: EnvironmentId, to: UserId, by: Attribution) -> OwnedEnvironment;
    }
}
