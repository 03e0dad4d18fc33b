//! Environments, their members and their tokens.

use crate::{
    http::{
        codes::Code,
        description::{
            answers::Answers,
            operation::{Caller, Operation, list_of, metadata_filter, operation, search, token_state},
            requests,
        },
        environments::{EnvironmentView, MemberView},
        tokens::DetailView,
    },
    views::{IssuedTokenView, TokenUsageView, TokenView},
};

pub(super) fn environments(answers: &mut Answers) -> Vec<Operation> {
    use Code::{Busy, DefaultEnvironment, NotFound, RoleRequired};
    const ONE: &str = "/api/v1/environments/{id}";
    let members = answers.of::<MemberView>();
    vec![
        operation("get", "/api/v1/environments", "listEnvironments", "Lists the environments of the user.")
            .by(Caller::SessionOr("environments:read"))
            .lists::<EnvironmentView>(answers)
            .or(&[Busy]),
        operation("post", "/api/v1/environments", "createEnvironment", "Creates an environment.")
            .by(Caller::Session)
            .takes(requests::environment())
            .creates::<EnvironmentView>(answers)
            .keyed()
            .or(&[NotFound]),
        operation("get", ONE, "showEnvironment", "Shows an environment.")
            .by(Caller::SessionOr("environments:read"))
            .gives::<EnvironmentView>(answers),
        operation("patch", ONE, "renameEnvironment", "Renames an environment.")
            .by(Caller::Session)
            .takes(requests::environment_name())
            .gives::<EnvironmentView>(answers)
            .or(&[RoleRequired]),
        operation("delete", ONE, "deleteEnvironment", "Deletes an environment with its tokens.")
            .by(Caller::Session)
            .says(answers)
            .or(&[RoleRequired, DefaultEnvironment]),
        operation("get", "/api/v1/environments/{id}/members", "listMembers", "Lists the members of an environment.")
            .by(Caller::Session)
            .answers(list_of(&members, 100))
            .or(&[RoleRequired, Busy]),
        operation("put", "/api/v1/environments/{id}/members/{user_id}", "setMember", "Gives a user a role.")
            .by(Caller::Session)
            .takes(requests::member())
            .gives::<MemberView>(answers)
            .or(&[RoleRequired]),
        operation("delete", "/api/v1/environments/{id}/members/{user_id}", "removeMember", "Removes a member.")
            .by(Caller::Session)
            .says(answers)
            .or(&[RoleRequired]),
    ]
}

pub(super) fn environment_tokens(answers: &mut Answers) -> Vec<Operation> {
    use Code::{AlreadyRotated, Busy, CanaryToken, OwnerDisabled, RoleRequired, TokenExpired};
    const ALL: &str = "/api/v1/environments/{id}/tokens";
    const ONE: &str = "/api/v1/environments/{id}/tokens/{token_id}";
    vec![
        operation("get", ALL, "listEnvironmentTokens", "Lists the tokens of an environment, newest first.")
            .by(Caller::Session)
            .with("search", search())
            .with("state", token_state())
            .with("metadata", metadata_filter())
            .lists::<TokenView>(answers)
            .or(&[Busy]),
        operation("post", ALL, "createEnvironmentToken", "Creates a token of an environment.")
            .by(Caller::Session)
            .takes(requests::environment_token())
            .creates::<IssuedTokenView>(answers)
            .keyed()
            .or(&[RoleRequired, OwnerDisabled]),
        operation("get", ONE, "showEnvironmentToken", "Shows a token of an environment.")
            .by(Caller::Session)
            .gives::<DetailView>(answers),
        operation("patch", ONE, "changeEnvironmentToken", "Changes name, description or metadata.")
            .by(Caller::Session)
            .takes(requests::token_change())
            .gives::<TokenView>(answers)
            .or(&[RoleRequired]),
        operation("delete", ONE, "revokeEnvironmentToken", "Revokes a token of an environment.")
            .by(Caller::Session)
            .says(answers)
            .or(&[RoleRequired, AlreadyRotated]),
        operation(
            "post",
            "/api/v1/environments/{id}/tokens/{token_id}/regenerate",
            "regenerateEnvironmentToken",
            "Replaces a token of an environment. The old one ends at once.",
        )
        .by(Caller::Session)
        .takes(requests::regeneration())
        .creates::<IssuedTokenView>(answers)
        .keyed()
        .or(&[RoleRequired, TokenExpired, CanaryToken, OwnerDisabled]),
        operation(
            "get",
            "/api/v1/environments/{id}/tokens/{token_id}/usage",
            "showEnvironmentTokenUsage",
            "What a token of an environment did, by day.",
        )
        .by(Caller::Session)
        .gives::<TokenUsageView>(answers)
        .or(&[Busy]),
    ]
}
