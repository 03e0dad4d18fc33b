//! The table is complete, and `docs/errors.md` shows it.

use std::{collections::BTreeSet, env, fmt::Write, fs, time::Duration};

use uuid::Uuid;

use super::*;
use crate::{
    domain::{ability::Ability, path::AmbiguousPath, secret::CredentialKind, time::Timestamp},
    http::error::ApiError,
    ops::{Error, PolicyRejection, Rejection, StateConflict, Throttled, clock::ClockFault},
    store::StoreError,
};

const DOCUMENT: &str = "docs/errors.md";

#[test]
fn the_document_shows_the_table() {
    let written = fs::read_to_string(DOCUMENT).unwrap();
    let mut updated = written.clone();
    for (name, table) in [("codes", codes_table()), ("verdicts", verdicts_table())] {
        let (begin, end) = (format!("<!-- table of {name} -->\n"), format!("<!-- end of {name} -->"));
        let (before, after) = updated.split_once(&begin).expect("the document has a place for the table");
        let (_, after) = after.split_once(&end).expect("the place has an end");
        updated = format!("{before}{begin}\n{table}\n{end}{after}");
    }
    if env::var_os("UPDATE").is_some() {
        fs::write(DOCUMENT, &updated).unwrap();
    } else {
        assert!(written == updated, "run UPDATE=1 cargo test --lib codes: {DOCUMENT} should be\n\n{updated}");
    }
}

fn codes_table() -> String {
    let mut table = "| code | status | meaning | what to do |\n|---|---|---|---|\n".to_owned();
    for code in Code::ALL {
        let (name, status) = (code.name(), code.status().as_u16());
        writeln!(table, "| `{name}` | {status} | {} | {} |", code.meaning(), code.remedy()).unwrap();
    }
    table
}

fn verdicts_table() -> String {
    let mut table = "| code | meaning |\n|---|---|\n".to_owned();
    for (name, meaning) in VERDICTS {
        writeln!(table, "| `{name}` | {meaning} |").unwrap();
    }
    table
}

#[test]
fn each_code_is_in_the_table_once_in_the_order_of_the_statuses_and_in_whole_sentences() {
    let names: BTreeSet<_> = Code::ALL.iter().map(|code| code.name()).collect();
    assert_eq!(names.len(), Code::ALL.len());
    assert!(Code::ALL.is_sorted_by_key(|code| code.status()));
    let sentences = Code::ALL.iter().flat_map(|code| [code.meaning(), code.remedy()]);
    for sentence in sentences.chain(VERDICTS.iter().map(|(_, meaning)| *meaning)) {
        assert!(sentence.ends_with(['.', ')']) && !sentence.contains(['|', '\n']), "{sentence}");
        assert!(!sentence.contains("  "), "{sentence}");
    }
}

/// The operations name these codes themselves, because the log and the command line print them as well.
#[test]
fn the_codes_of_the_operations_are_those_of_the_table() {
    use StateConflict::{CanaryToken, DefaultEnvironment, LastAdmin, OwnerDisabled, TokenExpired};
    for conflict in [CanaryToken, DefaultEnvironment, LastAdmin, OwnerDisabled, TokenExpired] {
        assert_eq!(Code::from(conflict).name(), conflict.code());
    }
    for rejection in POLICY_REJECTIONS {
        assert_eq!(Code::from(rejection).name(), rejection.code());
    }
}

const POLICY_REJECTIONS: [PolicyRejection; 5] = [
    PolicyRejection::UnknownPolicy,
    PolicyRejection::MalformedPath(AmbiguousPath::Fragment),
    PolicyRejection::AmbiguousPath(AmbiguousPath::EncodedSlash),
    PolicyRejection::NoRule,
    PolicyRejection::WrongKind,
];

/// No entry of the table describes a code that no error has.
#[test]
fn each_code_of_the_table_is_the_answer_to_some_error() {
    let operations = [
        Error::Rejected(Rejection::Unknown),
        Error::Rejected(Rejection::QuotaExceeded),
        Error::SessionRequired,
        Error::NotSelfRotating(CredentialKind::Session),
        Error::MissingAbility(vec![Ability::parse("calls:read").unwrap()]),
        Error::RoleRequired,
        Error::AdminRequired,
        Error::AlreadyRotated(None),
        Error::NotFound,
        Error::Conflict(StateConflict::DefaultEnvironment),
        Error::Conflict(StateConflict::LastAdmin),
        Error::Conflict(StateConflict::TokenExpired),
        Error::Conflict(StateConflict::CanaryToken),
        Error::Conflict(StateConflict::OwnerDisabled),
        Error::Invalid(Vec::new()),
        Error::Throttled(throttled()),
        Error::Busy,
        Error::ClockUnreliable(ClockFault { system: Timestamp::MAX, latest: Timestamp::MAX }),
        Error::Exhausted("memory"),
        Error::Store(StoreError::NotMade(String::new())),
        Error::Internal(String::new()),
    ];
    let requests = [
        ApiError::Malformed(String::new()),
        ApiError::UntrustedProxy,
        ApiError::IncompleteForwardedRequest,
        ApiError::MethodNotAllowed(String::new()),
        ApiError::HeadTooLarge(0),
        ApiError::BodyTooLarge(0),
        ApiError::WrongMediaType("application/json"),
        ApiError::BodyTimeout,
        ApiError::Deadline,
        ApiError::AlreadyCreated { id: Uuid::nil(), way_out: "" },
        ApiError::Draining,
        ApiError::NoLease,
    ];
    let policies = POLICY_REJECTIONS.map(Error::from);
    let errors = operations.into_iter().chain(policies).map(ApiError::from).chain(requests);
    let answered: BTreeSet<_> = errors.map(|error| error.code().name()).collect();
    assert_eq!(answered, Code::ALL.iter().map(|code| code.name()).collect());
}

#[test]
fn every_verdict_is_in_the_table() {
    let rejections = [
        Rejection::Missing,
        Rejection::Malformed,
        Rejection::Unknown,
        Rejection::Canary,
        Rejection::WrongNumber,
        Rejection::Expired,
        Rejection::Idle,
        Rejection::Revoked,
        Rejection::Rotated,
        Rejection::Disabled,
        Rejection::OwnerDisabled,
        Rejection::AddressNotAllowed,
        Rejection::RateLimited(throttled()),
        Rejection::QuotaExceeded,
    ];
    let answered: BTreeSet<_> =
        rejections.iter().map(|rejection| rejection.code()).chain(["valid", "missing_ability"]).collect();
    let listed: BTreeSet<_> = VERDICTS.iter().map(|(name, _)| *name).collect();
    assert_eq!(answered, listed);
}

fn throttled() -> Throttled {
    Throttled { retry_after: Duration::ZERO, limit: 1, resets_at: Timestamp::from_unix(0) }
}
