//! Requests about what owners own, and how an owner is found.

use super::users;
use crate::{
    control::{error::Error, frame::Output, owner_requests::HandOverRequest},
    domain::{
        audit::RequestSource,
        authority::Administrator,
        id::{EnvironmentId, TokenId, UserId},
        owner::Owner,
        text::shell_word,
    },
    ops::{self, Context, FieldError, owners},
    store::Selection,
    views::{HandedOverView, OwnedView},
};

/// Finds a user by id or e-mail address, or a service account by id.
pub(super) async fn find(ctx: &Context, administrator: Administrator, id_or_email: &str) -> Result<Owner, Error> {
    let Some(id) = UserId::parse(id_or_email) else {
        return users::find(ctx, administrator, id_or_email).await.map(Owner::User);
    };
    owners::find(ctx, administrator, id).await.map_err(|error| match error {
        ops::Error::NotFound => Error::NoUser(id_or_email.to_owned()),
        other => Error::from(other).before_change(),
    })
}

/// What an owner is called: the address of a user, or the name of a service account.
pub(super) fn label(owner: &Owner) -> String {
    owner.user().map_or_else(|| owner.name().to_string(), |user| user.email.to_string())
}

/// The refusal to make something for an owner who is disabled, if the owner is.
pub(super) fn expect_enabled(owner: &Owner) -> Result<(), Error> {
    let advice = match owner {
        _ if owner.disabled_at().is_none() => return Ok(()),
        Owner::User(user) => {
            let who = shell_word(user.email.as_str());
            format!("{who} is disabled: enable them with patd user enable {who}")
        }
        Owner::ServiceAccount(account) => {
            format!("{0} is disabled: enable it with patd service-account enable {0}", account.id)
        }
    };
    Err(Error::Refused(advice))
}

pub(super) async fn show_owned(
    ctx: &Context,
    administrator: Administrator,
    owner: &str,
    output: &mut Output,
) -> Result<(), Error> {
    let owner = find(ctx, administrator, owner).await?;
    let owned = owners::owned_by(ctx, administrator, owner.id()).await?;
    Ok(output.item(&OwnedView::from(owned)).await?)
}

pub(super) async fn hand_over(
    ctx: &Context,
    administrator: Administrator,
    request: HandOverRequest,
    output: &mut Output,
) -> Result<(), Error> {
    let HandOverRequest { from, to, tokens, environments } = request;
    let tokens = selection("tokens", tokens, TokenId::parse)?;
    let environments = selection("environments", environments, EnvironmentId::parse)?;
    let (from, to) = (find(ctx, administrator, &from).await?.id(), find(ctx, administrator, &to).await?.id());
    let request = owners::HandOverRequest { from, to, tokens, environments };
    let handed_over = owners::hand_over(ctx, administrator, request, RequestSource::COMMAND_LINE).await?;
    Ok(output.item(&HandedOverView::from(handed_over)).await?)
}

fn selection<Id>(
    field: &str,
    ids: Option<Vec<String>>,
    parse: fn(&str) -> Option<Id>,
) -> Result<Selection<Id>, Vec<FieldError>> {
    let Some(texts) = ids else { return Ok(Selection::All) };
    let (mut ids, mut errors) = (Vec::new(), Vec::new());
    for (at, text) in texts.iter().enumerate() {
        match parse(text) {
            Some(id) => ids.push(id),
            None => errors.push(FieldError::new(format!("{field}.{at}"), "must be an id.")),
        }
    }
    if errors.is_empty() { Ok(Selection::These(ids)) } else { Err(errors) }
}
