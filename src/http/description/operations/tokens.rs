//! Personal access tokens.

use crate::{
    http::{
        codes::Code,
        description::{
            answers::Answers,
            operation::{Caller, Operation, metadata_filter, operation, search, token_state},
            requests, shapes,
        },
        revocation::{DisabledView, RevokedView},
        rotation::RotatedView,
        tokens::{DetailView, RevokedTokenView},
    },
    views::{IssuedTokenView, TokenReportView, TokenUsageView, TokenView},
};

pub(super) fn tokens(answers: &mut Answers) -> Vec<Operation> {
    use Code::{AlreadyRotated, Busy, CanaryToken, ClockUnreliable, NotFound, OwnerDisabled};
    const ONE: &str = "/api/v1/user/api-tokens/{id}";
    let disabled = answers.of::<DisabledView>();
    let revoked = answers.of::<RevokedTokenView>();
    vec![
        operation(
            "get",
            "/api/v1/user/api-tokens",
            "listTokens",
            "Lists the personal tokens of the user, newest first.",
        )
        .by(Caller::Session)
        .with("search", search())
        .with("state", token_state())
        .with("owner", shapes::id())
        .with("metadata", metadata_filter())
        .lists::<TokenView>(answers)
        .or(&[Busy]),
        operation(
            "post",
            "/api/v1/user/api-tokens",
            "createToken",
            "Creates a personal token. The answer alone has its secret.",
        )
        .by(Caller::Session)
        .takes(requests::token())
        .creates::<IssuedTokenView>(answers)
        .keyed()
        .or(&[NotFound, OwnerDisabled]),
        operation("post", "/api/v1/user/api-tokens/revoke", "revokeTokens", "Revokes many tokens at once.")
            .by(Caller::Session)
            .takes(requests::revocation_of_many())
            .gives::<RevokedView>(answers),
        operation("get", ONE, "showToken", "Shows a token, also a revoked one.")
            .by(Caller::Session)
            .gives::<DetailView>(answers),
        operation("patch", ONE, "changeToken", "Changes name, description or metadata.")
            .by(Caller::Session)
            .takes(requests::token_change())
            .gives::<TokenView>(answers),
        operation("delete", ONE, "revokeToken", "Revokes a token.")
            .by(Caller::Session)
            .answers(revoked)
            .or(&[AlreadyRotated]),
        operation("get", "/api/v1/user/api-tokens/{id}/usage", "showTokenUsage", "What the token did, by day.")
            .by(Caller::Session)
            .gives::<TokenUsageView>(answers)
            .or(&[Busy]),
        operation("get", "/api/v1/user/api-tokens/{id}/report", "showTokenReport", "All that is known about a token.")
            .by(Caller::Session)
            .gives::<TokenReportView>(answers)
            .or(&[Busy]),
        operation("post", "/api/v1/user/api-tokens/{id}/rotate", "rotateToken", "Replaces a token by a successor.")
            .by(Caller::Session)
            .takes(requests::rotation())
            .creates::<RotatedView>(answers)
            .keyed()
            .or(&[AlreadyRotated, CanaryToken, OwnerDisabled]),
        operation("post", "/api/v1/user/api-tokens/self/rotate", "rotateOwnToken", "Replaces the token that is sent.")
            .by(Caller::Itself)
            .takes(requests::rotation())
            .creates::<RotatedView>(answers)
            .keyed()
            .or(&[AlreadyRotated, CanaryToken]),
        operation(
            "post",
            "/api/v1/user/api-tokens/{id}/disable",
            "disableToken",
            "Refuses a token until it is enabled.",
        )
        .by(Caller::Session)
        .answers(disabled)
        .or(&[AlreadyRotated, ClockUnreliable]),
        operation("post", "/api/v1/user/api-tokens/{id}/enable", "enableToken", "Enables a disabled token.")
            .by(Caller::Session)
            .gives::<TokenView>(answers),
        operation("post", "/api/v1/tokens/revoke-leaked", "reportLeak", "Revokes secrets that were found in public.")
            .takes(requests::leak_report())
            .says(answers)
            .or(&[Code::TooManyAttempts]),
    ]
}
