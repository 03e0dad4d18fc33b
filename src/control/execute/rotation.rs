//! Requests that replace a token.

use std::time::Duration;

use super::{owners, tokens};
use crate::{
    control::{error::Error, frame::Output, request::TokenRotation, views::IssuedView},
    domain::{audit::RequestSource, authority::Administrator},
    ops::{
        self, Context, FieldError, environment_tokens,
        rotation::{self, RotationRequest},
        tokens::Expiry,
    },
    views::IssuedTokenView,
};

/// Replaces a personal token as its owner would, or a token of an environment as the owner of the environment would.
pub(super) async fn rotate(
    ctx: &Context,
    administrator: Administrator,
    request: TokenRotation,
    output: &mut Output,
) -> Result<(), Error> {
    let abilities = request.abilities()?;
    let token = tokens::find(ctx, administrator, &request.id).await?;
    let owner = ctx.store.owner(token.owner).await.map_err(ops::Error::from)?;
    let (issued, _ending) = match token.environment {
        Some(_) if request.keep.is_some() => {
            let predicate = "is not possible for a token of an environment: its old secret ends at once.";
            return Err(vec![FieldError::new("keep", predicate)].into());
        }
        Some(environment) => {
            let source = RequestSource::COMMAND_LINE;
            let regenerated =
                environment_tokens::regenerate(ctx, token.owner, environment, token.id, abilities, source).await;
            (regenerated.map_err(|error| tokens::refused(error, token.id))?, None)
        }
        None => {
            let max_grace = ctx.rules.rotation.max_grace.as_secs();
            if request.keep.is_some_and(|keep| keep > max_grace) {
                let predicate = format!("must be at most {max_grace} seconds (rotation.max_grace).");
                return Err(vec![FieldError::new("keep", predicate)].into());
            }
            let rotation = RotationRequest {
                abilities,
                grace: request.keep.map(Duration::from_secs),
                end_on_first_use: None,
                expiry: Expiry::Default,
                replace_unused: false,
            };
            let rotated = rotation::rotate(ctx, token.owner, token.id, rotation, RequestSource::COMMAND_LINE).await;
            let rotated = rotated.map_err(|error| tokens::refused(error, token.id))?;
            (rotated.issued, Some(rotated.ending))
        }
    };
    let issued = IssuedView { owner: owners::label(&owner), issued: IssuedTokenView::unnumbered(issued) };
    Ok(output.item(&issued).await?)
}
