//! Every operation of the API. It stands beside the route table ([`super::super::routes`]); a test compares the two.

mod accounts;
mod administration;
mod checks;
mod environments;
mod service_accounts;
mod tokens;

use super::{answers::Answers, operation::Operation};

/// All of them.
pub(super) fn all(answers: &mut Answers) -> Vec<Operation> {
    [
        accounts::account(answers),
        tokens::tokens(answers),
        environments::environments(answers),
        environments::environment_tokens(answers),
        service_accounts::service_accounts(answers),
        checks::checks(answers),
        administration::all(answers),
        checks::server(answers),
    ]
    .into_iter()
    .flatten()
    .collect()
}
