//! The servers that share the database.

use super::{Context, Error};
use crate::domain::node::NodeStatus;

/// All of them, oldest registration first. None where only one server can have the database.
pub async fn list(ctx: &Context) -> Result<Vec<NodeStatus>, Error> {
    Ok(ctx.store.nodes().await?)
}
