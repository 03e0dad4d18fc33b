//! Requests about the servers that share the database.

use crate::{
    control::{error::Error, frame::Output, node_view::NodeView},
    ops::{self, Context},
};

pub(super) async fn list(ctx: &Context, output: &mut Output) -> Result<(), Error> {
    for node in ops::nodes::list(ctx).await? {
        output.item(&NodeView::from(&node)).await?;
    }
    Ok(())
}
