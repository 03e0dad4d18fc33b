//! Every error code with its status, its meaning and its remedy. Answers and `docs/errors.md` are made from this table.
//!
//! To add a code, add its entry here and run `UPDATE=1 cargo test --lib codes`, which rewrites the tables of the
//! document.

use actix_web::http::StatusCode;

use crate::ops::{StateConflict, authorization::PolicyRejection};

/// Defines the enum and its table from one list, so that every code has an entry in the table.
macro_rules! codes {
    ($($status:ident $code:ident $name:literal: $meaning:literal $remedy:literal;)+) => {
        /// What a program reads to learn why a request failed: the `code` of an answer.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Code {
            $(#[doc = $meaning] $code,)+
        }

        impl Code {
            /// All codes, by status.
            pub const ALL: &[Self] = &[$(Self::$code,)+];

            /// The code on the wire.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$code => $name,)+ }
            }

            /// The status with which the code is answered.
            pub const fn status(self) -> StatusCode {
                match self { $(Self::$code => StatusCode::$status,)+ }
            }

            /// When it is answered.
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$code => $meaning,)+ }
            }

            /// What the client or the administrator can do.
            pub const fn remedy(self) -> &'static str {
                match self { $(Self::$code => $remedy,)+ }
            }
        }
    };
}

codes! {
    BAD_REQUEST MalformedRequest "malformed_request":
        "The request cannot be read. The body is not valid JSON, an object has a key twice, the query or the \
         `Authorization` header is malformed, or a header that may be sent once is sent twice."
        "Read `message`, which says what is wrong, and correct the request.";
    UNAUTHORIZED Unauthenticated "unauthenticated":
        "No credential was sent, or it is not accepted: it is unknown, expired, revoked or disabled, it is used from an \
         address that it does not allow, or its owner is disabled. For a sign-in: the address is unknown, the password \
         is wrong, or the account is disabled. The answer is the same for each reason."
        "Send `Authorization: Bearer TOKEN`. If the token was sent, look it up in the list of tokens and create another \
         one; after `sessions.lifetime`, sign in again. The reason is in the server's log, in the line with the \
         `X-Request-Id` of the answer.";
    FORBIDDEN SessionRequired "session_required":
        "The credential is valid, but only a session may do this."
        "Sign in with `POST /api/v1/auth/login` and send the session token.";
    FORBIDDEN TokenRequired "token_required":
        "Only a personal access token can rotate itself, and the request has a session token."
        "Send the token itself, or use the session with `POST /api/v1/user/api-tokens/{id}/rotate`.";
    FORBIDDEN MissingAbility "missing_ability":
        "The token is valid, but it lacks an ability. `required` lists the abilities that are needed, all of them."
        "Create a token with these abilities. Reserved abilities such as `tokens:introspect` are granted with \
         `patd token create --ability`.";
    FORBIDDEN RoleRequired "role_required":
        "The user's role in the environment does not allow this."
        "Ask the owner of the environment for the role `admin`, or leave the change to the owner.";
    FORBIDDEN AdminRequired "admin_required":
        "Only an administrator may do this. The user of the session or token is not one, or is not one any more."
        "Ask an administrator to do it, or for the role `admin`.";
    FORBIDDEN UntrustedProxy "untrusted_proxy":
        "A proxy endpoint was called from an address that is not in `server.trusted_proxies`."
        "Add the address of the proxy to `server.trusted_proxies` and reload the server.";
    FORBIDDEN IncompleteRequest "incomplete_request":
        "The proxy did not name the method and the path of the request, or named one of them twice."
        "Configure the proxy as `deploy/` shows. `message` lists the headers.";
    FORBIDDEN UnknownPolicy "unknown_policy":
        "The configuration has no policy with the name that the proxy asked for."
        "Correct the name in the proxy's configuration, or add the policy and reload the server.";
    FORBIDDEN MalformedPath "malformed_path":
        "The target of the forwarded request is not an absolute path, or contains a raw `#`."
        "Send a path that begins with `/`, and write `%23` for `#`.";
    FORBIDDEN AmbiguousPath "ambiguous_path":
        "The path of the forwarded request can be read in two ways, for example because of `..`, `//` or an encoded \
         slash."
        "Send the plain path. If the application needs such paths, say how it reads them in `path_reading` of the policy.";
    FORBIDDEN NoRule "no_rule":
        "No rule of the policy matches the method and the path."
        "Add a rule for them. `patd policy explain` shows which rule decides about a request.";
    FORBIDDEN WrongKind "wrong_kind":
        "The rule of the policy does not accept this kind of credential."
        "Send a credential of a kind that the rule lists in `credentials`, or change the rule.";
    NOT_FOUND NotFound "not_found":
        "Nothing is at this path, or the thing with this id does not exist or belongs to somebody else. For a \
         registration: `accounts.registration` is off."
        "Check the path and the id. Percent-encoded characters are not accepted in a path.";
    METHOD_NOT_ALLOWED MethodNotAllowed "method_not_allowed":
        "The path does not accept the method."
        "Use one of the methods in the `Allow` header.";
    REQUEST_TIMEOUT RequestTimeout "request_timeout":
        "The body did not arrive within `server.body_timeout`. Nothing was changed."
        "Send the request again.";
    CONFLICT AlreadyRotated "already_rotated":
        "The token was rotated before, and its successor stays. `successor` has the id of the successor, if it is known."
        "Use the successor. To revoke or disable it as well, send the same request with its id.";
    CONFLICT AlreadyCreated "already_created":
        "The same request was sent before with the same `Idempotency-Key`, and was made. Its answer had a secret, which cannot be \
         shown again, or what it made is gone. `id` is the id of what was made."
        "Use the secret of the first answer. If it was lost, `message` says how to replace it.";
    CONFLICT DefaultEnvironment "default_environment":
        "A default environment cannot be deleted, and cannot get another owner."
        "Keep it, or delete the tokens in it.";
    CONFLICT LastAdmin "last_admin":
        "The user is the last enabled administrator with a password, so they keep role and password and stay enabled."
        "Make another user an administrator first. The command line can do it all the same.";
    CONFLICT TokenExpired "token_expired":
        "The token has expired, so a regenerated token would be expired as well."
        "Create a new token.";
    CONFLICT CanaryToken "canary_token":
        "A canary token cannot be rotated or regenerated: nobody uses it, so its secret needs no replacement."
        "Create another canary token, and revoke this one.";
    CONFLICT OwnerDisabled "owner_disabled":
        "The owner of the environment or of the new token is disabled, so the token would not be accepted."
        "Ask the administrator to enable the user with `patd user enable`, or the service account with \
         `patd service-account enable`.";
    PAYLOAD_TOO_LARGE BodyTooLarge "body_too_large":
        "The body has more bytes than the server accepts. `message` names the limit."
        "Send less at once, or raise `server.body_limit`.";
    UNSUPPORTED_MEDIA_TYPE UnsupportedMediaType "unsupported_media_type":
        "The body is compressed, is not UTF-8, or has another `Content-Type` than the path accepts."
        "Send the `Content-Type` that `message` names, and no `Content-Encoding`.";
    UNPROCESSABLE_ENTITY ValidationFailed "validation_failed":
        "A field or a parameter is missing, unknown or not valid. `errors` has the messages of each."
        "Correct the fields that `errors` names.";
    TOO_MANY_REQUESTS TooManyAttempts "too_many_attempts":
        "The token reached its limit of requests per minute, or there were too many sign-ins, registrations, wrong passwords, \
         self-rotations or leak reports."
        "Wait for as many seconds as `Retry-After` says. The limits of attempts are in `[throttle]`.";
    TOO_MANY_REQUESTS QuotaExceeded "quota_exceeded":
        "The token has been used as often as its `quota` allows. Waiting does not help."
        "Create another token.";
    REQUEST_HEADER_FIELDS_TOO_LARGE HeadTooLarge "head_too_large":
        "The request line and the headers have more bytes than `server.head_limit`."
        "Send fewer or shorter headers (often cookies), or raise `server.head_limit`.";
    INTERNAL_SERVER_ERROR ServerError "server_error":
        "The server has a defect. A change may or may not have been made."
        "Report it with the line of the log that has the `X-Request-Id` of the answer. Read the object before you repeat \
         a change.";
    SERVICE_UNAVAILABLE Busy "busy":
        "Too many passwords or too many large answers wait to be worked on. Nothing was changed."
        "Send the request again after `Retry-After`.";
    SERVICE_UNAVAILABLE ClockUnreliable "clock_unreliable":
        "The server's system clock is behind the latest time that the server knows by more than a minute, or ahead of it by \
         more than a year. Until it is right, nothing is issued that carries a time: tokens, sessions, accounts, \
         environments. Nothing was changed."
        "Send the request again after `Retry-After`. The administrator sets the system clock right; if it is right, \
         restart the server once with `patd serve --trust-clock`.";
    SERVICE_UNAVAILABLE ResourcesExhausted "resources_exhausted":
        "The server is short of memory or threads. Nothing was changed."
        "Send the request again after `Retry-After`. The administrator gives the server more memory, or lowers \
         `passwords.concurrent_hashes`.";
    SERVICE_UNAVAILABLE StoreUnavailable "store_unavailable":
        "The database cannot be read or written. `message` says whether nothing was changed, or whether a change may have \
         been made."
        "Send the request again after `Retry-After`; if a change may have been made, read the object first. The \
         administrator finds the cause in the log: a full disk, missing permissions, or a file that was replaced.";
    SERVICE_UNAVAILABLE NoLease "no_lease":
        "This node of several has no lease (`/readyz`), so it answers no check: it cannot write to PostgreSQL, or does not reach \
         it."
        "Send requests to another node. The administrator finds the cause in the log of this one, and looks at the primary and its \
         synchronous standby.";
    SERVICE_UNAVAILABLE DeadlineExceeded "deadline_exceeded":
        "The answer was not ready within `server.request_deadline`. A change may or may not have been made."
        "Read the object before you repeat a change. Send other requests again after `Retry-After`.";
    SERVICE_UNAVAILABLE Draining "draining":
        "The server is shutting down (`/readyz`)."
        "Send requests to another instance, or wait until the server has restarted.";
}

impl From<StateConflict> for Code {
    fn from(conflict: StateConflict) -> Self {
        match conflict {
            StateConflict::DefaultEnvironment => Self::DefaultEnvironment,
            StateConflict::LastAdmin => Self::LastAdmin,
            StateConflict::TokenExpired => Self::TokenExpired,
            StateConflict::CanaryToken => Self::CanaryToken,
            StateConflict::OwnerDisabled => Self::OwnerDisabled,
        }
    }
}

impl From<PolicyRejection> for Code {
    fn from(rejection: PolicyRejection) -> Self {
        match rejection {
            PolicyRejection::UnknownPolicy => Self::UnknownPolicy,
            PolicyRejection::MalformedPath(_) => Self::MalformedPath,
            PolicyRejection::AmbiguousPath(_) => Self::AmbiguousPath,
            PolicyRejection::NoRule => Self::NoRule,
            PolicyRejection::WrongKind => Self::WrongKind,
        }
    }
}

/// What `code` says in the answers of `POST /api/v1/tokens/verify` and its batch, with its meaning. These are verdicts
/// on the token in the body and not errors: their status is 200.
pub const VERDICTS: &[(&str, &str)] = &[
    ("valid", "The credential is accepted and has all abilities that were asked for."),
    (
        "missing_ability",
        "The credential is accepted, but lacks an ability that was asked for. `required` lists all that were, `missing` those that it lacks.",
    ),
    ("malformed", "The text is not a token of this server: prefix, length or checksum are wrong."),
    ("unknown", "No token or session has this secret, the session has ended, or it is a canary token."),
    ("expired", "The credential is past its expiry, or was idle for too long."),
    ("revoked", "The token was revoked, or rotation has replaced it."),
    ("disabled", "The token is disabled until its owner enables it."),
    ("owner_disabled", "The account of the owner is disabled."),
    ("ip_not_allowed", "The token has an `ip_allowlist` that does not contain `ip`, or `ip` was not sent."),
    ("rate_limited", "The token reached its limit of requests per minute."),
    ("quota_exceeded", "The token has been used as often as its `quota` allows."),
];

#[cfg(test)]
mod tests;
