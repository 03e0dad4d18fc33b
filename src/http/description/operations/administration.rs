//! The operations of administrators.

use serde_json::json;

use crate::{
    domain::audit::Action,
    http::{
        admin::{
            throttle::{ClearedView, HeldView},
            tokens::{OwnedView as OwnedTokenView, RevocationView},
            users::EndedView,
        },
        codes::Code,
        description::{
            answers::Answers,
            operation::{Caller, Operation, metadata_filter, operation},
            requests, shapes,
        },
        revocation::DisabledView,
        tokens::{DetailView, RevokedTokenView},
    },
    views::{
        AccountDetailsView, AccountView, AdminEventView, DeletionView, DisabledAccountView, HandedOverView,
        InvitedView, OwnedEnvironmentView, OwnedView, SessionView, TokenReportView, TokenView,
    },
};

pub(super) fn all(answers: &mut Answers) -> Vec<Operation> {
    let mut all = users(answers);
    all.extend(owners(answers));
    all.extend(tokens(answers));
    all
}

fn users(answers: &mut Answers) -> Vec<Operation> {
    use Code::{BodyTooLarge, Busy, ClockUnreliable, LastAdmin, RequestTimeout};
    const ALL: &str = "/api/v1/admin/users";
    const ONE: &str = "/api/v1/admin/users/{id}";
    const THROTTLE: &str = "/api/v1/admin/throttle";
    let whose = |operation: Operation| operation.with("email", shapes::email()).with("address", shapes::address());
    vec![
        operation("get", ALL, "listUsers", "Lists users.")
            .by(Caller::AdminReads)
            .with("search", shapes::text())
            .with("role", shapes::one_of(&["member", "admin"]))
            .with("state", shapes::one_of(&["active", "disabled", "invited"]))
            .with("sort", shapes::one_of(&["created", "name", "email", "-created", "-name", "-email"]))
            .lists::<AccountView>(answers)
            .or(&[Busy]),
        operation("post", ALL, "inviteUser", "Creates a user with a link for their password.")
            .by(Caller::AdminSession)
            .takes(requests::user())
            .creates::<InvitedView>(answers)
            .keyed(),
        operation("get", ONE, "showUserAccount", "Shows a user with counts.")
            .by(Caller::AdminReads)
            .gives::<AccountDetailsView>(answers),
        operation("patch", ONE, "changeUserAccount", "Changes name, address or role.")
            .by(Caller::AdminSession)
            .takes(requests::user_change())
            .gives::<AccountView>(answers)
            .or(&[LastAdmin]),
        operation("delete", ONE, "deleteUserAccount", "Deletes a user.")
            .by(Caller::AdminSession)
            .with("transfer_to", shapes::id())
            .gives::<DeletionView>(answers)
            .or(&[LastAdmin]),
        operation("post", "/api/v1/admin/users/{id}/disable", "disableUser", "Ends sessions, and refuses tokens.")
            .by(Caller::Admin)
            .takes(requests::disabling())
            .gives::<DisabledAccountView>(answers)
            .or(&[LastAdmin, Code::SessionRequired]),
        operation("post", "/api/v1/admin/users/{id}/enable", "enableUser", "Enables a disabled user.")
            .by(Caller::Admin)
            .gives::<AccountView>(answers),
        operation("post", "/api/v1/admin/users/{id}/reset-password", "resetPassword", "Replaces a password by a link.")
            .by(Caller::AdminSession)
            .gives::<InvitedView>(answers)
            .or(&[LastAdmin, ClockUnreliable, RequestTimeout, BodyTooLarge])
            .keyed(),
        operation("get", "/api/v1/admin/users/{id}/sessions", "listUserSessions", "Lists where a user is signed in.")
            .by(Caller::AdminReads)
            .lists::<SessionView>(answers)
            .or(&[Busy]),
        operation("delete", "/api/v1/admin/users/{id}/sessions", "endUserSessions", "Ends all sessions of a user.")
            .by(Caller::Admin)
            .gives::<EndedView>(answers),
        whose(operation("get", THROTTLE, "showThrottle", "What the throttle holds against an address."))
            .by(Caller::AdminReads)
            .gives::<HeldView>(answers),
        whose(operation("delete", THROTTLE, "clearThrottle", "Clears these counters."))
            .by(Caller::Admin)
            .gives::<ClearedView>(answers),
    ]
}

fn owners(answers: &mut Answers) -> Vec<Operation> {
    use Code::{Busy, DefaultEnvironment};
    let mut actions: Vec<&str> = Action::ALL.iter().map(|action| action.as_str()).collect();
    actions.sort_unstable();
    let action = json!({"type": "string", "description":
        "One action (`token.created`), or all of a kind (`token.`).", "examples": [actions[0]]});
    vec![
        operation("get", "/api/v1/admin/users/{id}/owns", "showOwned", "What a user or a service account owns.")
            .by(Caller::AdminReads)
            .gives::<OwnedView>(answers),
        operation("post", "/api/v1/admin/users/{id}/hand-over", "handOver", "Gives it to another owner.")
            .by(Caller::AdminSession)
            .takes(requests::hand_over())
            .gives::<HandedOverView>(answers)
            .or(&[DefaultEnvironment]),
        operation("get", "/api/v1/admin/environments", "listAllEnvironments", "Lists the environments of everybody.")
            .by(Caller::AdminReads)
            .with("search", json!({"type": "string", "maxLength": 255}))
            .with("owner", shapes::id())
            .lists::<OwnedEnvironmentView>(answers)
            .or(&[Busy]),
        operation(
            "get",
            "/api/v1/admin/environments/{id}",
            "showAnyEnvironment",
            "Shows an environment with its owner.",
        )
        .by(Caller::AdminReads)
        .gives::<OwnedEnvironmentView>(answers),
        operation("post", "/api/v1/admin/environments/{id}/transfer", "transferEnvironment", "Gives it another owner.")
            .by(Caller::AdminSession)
            .takes(requests::transfer())
            .gives::<OwnedEnvironmentView>(answers)
            .or(&[DefaultEnvironment]),
        operation("get", "/api/v1/admin/audit", "listAllEvents", "Lists the events of everybody, newest first.")
            .by(Caller::AdminReads)
            .with("actor", shapes::id())
            .with("subject", shapes::id())
            .with("action", action)
            .with("outcome", shapes::one_of(&["success", "refused"]))
            .with("address", json!({"type": "string", "description": "An IP address, or a network."}))
            .with("from", shapes::sent_time())
            .with("until", shapes::sent_time())
            .lists::<AdminEventView>(answers)
            .or(&[Busy]),
    ]
}

fn tokens(answers: &mut Answers) -> Vec<Operation> {
    use Code::{AlreadyRotated, Busy};
    const ALL: &str = "/api/v1/admin/tokens";
    const ONE: &str = "/api/v1/admin/tokens/{id}";
    let (revoked, disabled) = (answers.of::<RevokedTokenView>(), answers.of::<DisabledView>());
    let mut list = operation("get", ALL, "listAllTokens", "Lists the tokens of everybody.").by(Caller::AdminReads);
    for (name, shape) in requests::filters() {
        list = list.with(name, shape);
    }
    vec![
        list.with("service_account", shapes::flag())
            .with("canary", shapes::flag())
            .with("metadata", metadata_filter())
            .with("sort", shapes::one_of(&["created", "expires", "last_used"]))
            .with("order", shapes::one_of(&["asc", "desc"]))
            .lists::<OwnedTokenView<TokenView>>(answers)
            .or(&[Busy]),
        operation("post", "/api/v1/admin/tokens/revoke", "revokeTokensByFilter", "Revokes all that the filters find.")
            .by(Caller::Admin)
            .takes(requests::revocation_by_filter())
            .gives::<RevocationView>(answers),
        operation("get", ONE, "showAnyToken", "Shows a token with its owner.")
            .by(Caller::AdminReads)
            .gives::<OwnedTokenView<DetailView>>(answers),
        operation("delete", ONE, "revokeAnyToken", "Revokes a token.")
            .by(Caller::Admin)
            .answers(revoked)
            .or(&[AlreadyRotated]),
        operation(
            "post",
            "/api/v1/admin/tokens/{id}/disable",
            "disableAnyToken",
            "Refuses a token until it is enabled.",
        )
        .by(Caller::Admin)
        .answers(disabled)
        .or(&[AlreadyRotated]),
        operation("post", "/api/v1/admin/tokens/{id}/enable", "enableAnyToken", "Enables a disabled token.")
            .by(Caller::Admin)
            .gives::<TokenView>(answers),
        operation("get", "/api/v1/admin/tokens/{id}/report", "showAnyTokenReport", "All that is known about a token.")
            .by(Caller::AdminReads)
            .gives::<TokenReportView>(answers)
            .or(&[Busy]),
    ]
}
