//! The account of the user, and sessions.

use serde_json::json;

use crate::{
    http::{
        accounts::{AccountView as OwnAccountView, IdentityView, SignedInView},
        codes::Code,
        description::{
            answers::Answers,
            operation::{Caller, Operation, operation},
            requests, shapes,
        },
        sessions::SessionView,
    },
    views::{DeletionView, EventView, UserView},
};

pub(super) fn account(answers: &mut Answers) -> Vec<Operation> {
    use Code::{Busy, ClockUnreliable, LastAdmin, NotFound, TooManyAttempts, Unauthenticated};
    let own_session = answers.of::<SessionView>();
    let sessions = json!({
        "type": "object",
        "properties": {"data": {"type": "array", "items": own_session, "maxItems": 100}, "next_cursor": shapes::text()},
        "required": ["data"],
        "additionalProperties": false,
    });
    let own_account = answers.of::<OwnAccountView>();
    let user = answers.of::<UserView>();
    let rows = json!({"type": "array", "items": {"type": "object", "additionalProperties": true}});
    let export = json!({"type": "object", "additionalProperties": rows});
    vec![
        operation("post", "/api/v1/auth/register", "register", "Registers a user, if `accounts.registration` is set.")
            .takes(requests::registration())
            .creates::<UserView>(answers)
            .or(&[NotFound, TooManyAttempts, Busy]),
        operation("post", "/api/v1/auth/login", "signIn", "Signs in: opens a session.")
            .takes(requests::sign_in())
            .creates::<SignedInView>(answers)
            .or(&[Unauthenticated, TooManyAttempts, Busy]),
        operation("post", "/api/v1/auth/logout", "signOut", "Ends this session.").by(Caller::Session).says(answers),
        operation(
            "post",
            "/api/v1/auth/password-link",
            "setPasswordByLink",
            "Sets the password of an invited user, once.",
        )
        .takes(requests::password_by_link())
        .says(answers)
        .or(&[TooManyAttempts, Busy, ClockUnreliable]),
        operation("post", "/api/v1/auth/identify", "identify", "Says what the credential is.")
            .by(Caller::Any)
            .gives::<IdentityView>(answers),
        operation("get", "/api/user", "showAccount", "Shows the account of the credential.")
            .by(Caller::SessionOr("user:read"))
            .answers(own_account.clone()),
        operation("get", "/api/v1/user", "showUser", "The same as `GET /api/user`.")
            .by(Caller::SessionOr("user:read"))
            .answers(own_account),
        operation("patch", "/api/v1/user", "changeUser", "Changes name or address.")
            .by(Caller::Session)
            .takes(requests::profile())
            .answers(user.clone())
            .or(&[TooManyAttempts, Busy]),
        operation("delete", "/api/v1/user", "deleteUser", "Deletes the user, and says how much ended with them.")
            .by(Caller::Session)
            .takes(requests::current_password())
            .gives::<DeletionView>(answers)
            .or(&[LastAdmin, TooManyAttempts, Busy]),
        operation("get", "/api/v1/user/export", "exportUser", "Everything that is held about the user, as a file.")
            .by(Caller::Session)
            .answers(export)
            .or(&[Busy]),
        operation(
            "put",
            "/api/v1/user/password",
            "changePassword",
            "Changes the password, and ends all other sessions.",
        )
        .by(Caller::Session)
        .takes(requests::password_change())
        .says(answers)
        .or(&[TooManyAttempts, Busy]),
        operation("get", "/api/v1/user/sessions", "listSessions", "Lists where the user is signed in.")
            .by(Caller::Session)
            .with("limit", shapes::number(1, 100))
            .with("cursor", shapes::text())
            .answers(sessions)
            .or(&[Busy]),
        operation("delete", "/api/v1/user/sessions", "endOtherSessions", "Ends all sessions except this one.")
            .by(Caller::Session)
            .says(answers),
        operation("delete", "/api/v1/user/sessions/{id}", "endSession", "Ends a session.")
            .by(Caller::Session)
            .says(answers),
        operation(
            "get",
            "/api/v1/user/audit",
            "listEvents",
            "Lists what was done in and to the account, newest first.",
        )
        .by(Caller::Session)
        .lists::<EventView>(answers)
        .or(&[Busy]),
        operation(
            "put",
            "/api/v1/user/current-environment",
            "setCurrentEnvironment",
            "Chooses the current environment.",
        )
        .by(Caller::Session)
        .takes(requests::current_environment())
        .answers(user)
        .or(&[NotFound]),
    ]
}
