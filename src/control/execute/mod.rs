//! Carries out requests, for the server's socket and for commands that open the file themselves.

mod audit;
mod environments;
mod nodes;
mod owners;
mod removals;
mod rotation;
mod service_accounts;
mod token_reports;
mod tokens;
mod users;

use super::{error::Error, frame::Output, request::Request, server_view::ServerView};
use crate::{
    domain::authority::Administrator,
    ops::{self, Context},
};

/// Carries out `request` as an administrator and answers on `output`. In the audit trail, every change has the source
/// [`RequestSource::COMMAND_LINE`].
///
/// [`RequestSource::COMMAND_LINE`]: crate::domain::audit::RequestSource::COMMAND_LINE
pub async fn execute(ctx: &Context, request: Request, mut output: Output) {
    let is_change = request.is_change();
    let mut outcome = carry_out(ctx, request, &mut output).await;
    // Also of a read: the command that deletes a user looks first at what would be deleted.
    if outcome.as_ref().is_err_and(Error::is_about_state)
        && let Err(failure) = ctx.store.wait_until_known().await
    {
        outcome = Err(ops::Error::from(failure.after_partial_change()).into());
    }
    output.finish(outcome.map_err(|error| if is_change { error } else { error.for_read() })).await;
}

async fn carry_out(ctx: &Context, request: Request, output: &mut Output) -> Result<(), Error> {
    let administrator = Administrator::command_line();
    match request {
        Request::CreateUser { user, password } => users::create(ctx, administrator, &user, &password, output).await,
        Request::InviteUser(user) => users::invite(ctx, administrator, &user, output).await,
        Request::ResetPassword(user) => users::reset_password(ctx, administrator, &user, output).await,
        Request::SetRole { user, role } => users::set_role(ctx, administrator, &user, &role, output).await,
        Request::UnlockUser(user) => users::unlock(ctx, administrator, &user, output).await,
        Request::ListSessions(user) => users::sessions(ctx, administrator, &user, output).await,
        Request::EndSessions(user) => users::end_sessions(ctx, administrator, &user, output).await,
        Request::ListUsers(list) => users::list(ctx, administrator, list, output).await,
        Request::ShowUser(id_or_email) => users::show(ctx, administrator, &id_or_email, output).await,
        Request::DisableUser { removal, dry_run } => {
            removals::disable(ctx, administrator, &removal, dry_run, output).await
        }
        Request::EnableUser(id_or_email) => users::enable(ctx, administrator, &id_or_email, output).await,
        Request::SetEmail { user, email } => users::set_email(ctx, administrator, &user, &email, output).await,
        Request::SetPassword { user, password } => {
            users::set_password(ctx, administrator, &user, &password, output).await
        }
        Request::ExportUser(id_or_email) => users::export(ctx, administrator, &id_or_email, output).await,
        Request::PreviewDeletion(removal) => removals::preview_deletion(ctx, administrator, &removal, output).await,
        Request::DeleteUser(removal) => removals::delete(ctx, administrator, &removal, output).await,
        Request::CreateToken(new) => tokens::create(ctx, administrator, &new, output).await,
        Request::ListTokens(list) => tokens::list(ctx, administrator, list, output).await,
        Request::RotateToken(rotation) => rotation::rotate(ctx, administrator, rotation, output).await,
        Request::RevokeToken(id) => tokens::revoke(ctx, administrator, &id, output).await,
        Request::DisableToken(id) => tokens::disable(ctx, administrator, &id, output).await,
        Request::EnableToken(id) => tokens::enable(ctx, administrator, &id, output).await,
        Request::RevokeTokens(whose) => tokens::revoke_all(ctx, administrator, &whose, output).await,
        Request::ShowTokenUsage(id) => token_reports::show_usage(ctx, administrator, &id, output).await,
        Request::ShowTokenReport(id) => token_reports::show_report(ctx, administrator, &id, output).await,
        Request::RevokeMatching(matching) => tokens::revoke_matching(ctx, administrator, matching, output).await,
        Request::ServiceAccount(request) => service_accounts::execute(ctx, administrator, request, output).await,
        Request::Environment(request) => environments::execute(ctx, administrator, request, output).await,
        Request::ShowOwned(owner) => owners::show_owned(ctx, administrator, &owner, output).await,
        Request::HandOver(request) => owners::hand_over(ctx, administrator, request, output).await,
        Request::ListEvents(list) => audit::list(ctx, administrator, list, output).await,
        Request::SealEvents => audit::seal(ctx, administrator, output).await,
        Request::VerifySeals { expected } => audit::verify(ctx, administrator, expected.as_deref(), output).await,
        Request::ListNodes => nodes::list(ctx, output).await,
        Request::ShowServer => Ok(output.item(&ServerView::this()).await?),
        Request::JudgeToken(judge) => tokens::judge(ctx, &judge, output).await,
    }
}
