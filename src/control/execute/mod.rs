//! Carries out requests: the same operations for the server's socket and for a command that opens the file itself.

mod tokens;
mod users;

use super::{error::Error, frame::Output, request::Request};
use crate::ops::Context;

/// Carries out `request` and answers on `output`. Every change has [`RequestSource::COMMAND_LINE`] in the audit trail.
///
/// [`RequestSource::COMMAND_LINE`]: crate::domain::audit::RequestSource::COMMAND_LINE
pub async fn execute(ctx: &Context, request: Request, mut output: Output) {
    let is_change = request.is_change();
    let outcome = carry_out(ctx, request, &mut output).await;
    output.finish(outcome.map_err(|error| if is_change { error } else { error.of_question() })).await;
}

async fn carry_out(ctx: &Context, request: Request, output: &mut Output) -> Result<(), Error> {
    match request {
        Request::CreateUser { user, password } => users::create(ctx, &user, &password, output).await,
        Request::ListUsers(list) => users::list(ctx, list, output).await,
        Request::ShowUser(who) => users::show(ctx, &who, output).await,
        Request::DisableUser(who) => users::disable(ctx, &who, output).await,
        Request::EnableUser(who) => users::enable(ctx, &who, output).await,
        Request::SetEmail { user, email } => users::set_email(ctx, &user, &email, output).await,
        Request::SetPassword { user, password } => users::set_password(ctx, &user, &password, output).await,
        Request::CreateToken(new) => tokens::create(ctx, &new, output).await,
        Request::ListTokens(list) => tokens::list(ctx, list, output).await,
        Request::RevokeToken(id) => tokens::revoke(ctx, &id, output).await,
        Request::DisableToken(id) => tokens::disable(ctx, &id, output).await,
        Request::EnableToken(id) => tokens::enable(ctx, &id, output).await,
        Request::RevokeTokens(whose) => tokens::revoke_all(ctx, &whose, output).await,
        Request::JudgeToken(judge) => tokens::judge(ctx, &judge, output).await,
    }
}
