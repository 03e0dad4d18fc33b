//! Service accounts.

use crate::{
    http::{
        codes::Code,
        description::{
            answers::Answers,
            operation::{Caller, Operation, operation, search},
            requests,
        },
    },
    views::ServiceAccountView,
};

pub(super) fn service_accounts(answers: &mut Answers) -> Vec<Operation> {
    const ALL: &str = "/api/v1/service-accounts";
    const ONE: &str = "/api/v1/service-accounts/{id}";
    const MANAGER: &str = "/api/v1/service-accounts/{id}/managers/{user_id}";
    let reader = Caller::SessionOr("admin:read");
    let mut one = |method, path, id, summary, caller: Caller| {
        operation(method, path, id, summary).by(caller).gives::<ServiceAccountView>(answers)
    };
    let mut all = vec![
        one("get", ONE, "showServiceAccount", "Shows a service account.", reader),
        one("patch", ONE, "changeServiceAccount", "Changes name or description.", Caller::SessionOr("admin:*"))
            .takes(requests::service_account_change()),
        one(
            "post",
            "/api/v1/service-accounts/{id}/disable",
            "disableServiceAccount",
            "Refuses its tokens.",
            Caller::Admin,
        ),
        one("post", "/api/v1/service-accounts/{id}/enable", "enableServiceAccount", "Enables it again.", Caller::Admin),
        one("put", MANAGER, "addManager", "Makes a user a manager.", Caller::AdminSession),
        one("delete", MANAGER, "removeManager", "Removes a manager.", Caller::Admin),
    ];
    all.extend([
        operation("get", ALL, "listServiceAccounts", "Lists the service accounts that the user manages, or all.")
            .by(reader)
            .with("search", search())
            .lists::<ServiceAccountView>(answers)
            .or(&[Code::Busy]),
        operation("post", ALL, "createServiceAccount", "Creates a service account.")
            .by(Caller::AdminSession)
            .takes(requests::service_account())
            .creates::<ServiceAccountView>(answers)
            .keyed(),
        operation("delete", ONE, "deleteServiceAccount", "Deletes a service account with its tokens.")
            .by(Caller::Admin)
            .says(answers),
    ]);
    all
}
