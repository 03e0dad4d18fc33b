//! Changes of one token: revokes, disables or enables it.

use crate::{
    cli::{
        failure::Failure,
        global::GlobalOptions,
        terminal::{escaped, print_message},
    },
    control::{ChangedTokenView, Request},
    store::Access,
};

/// Makes a change and says which tokens it changed.
pub(super) fn run(options: &GlobalOptions, request: Request, outcome: &str) -> Result<(), Failure> {
    let token: ChangedTokenView = options.execute(request, Access::Existing)?.single()?;
    print_message(&format!("{} is {outcome}", escaped(&token.name)));
    for successor in &token.with_successors {
        print_message(&format!("its successor {successor}, made by self-rotation, is also {outcome}"));
    }
    if let Some(successor) = &token.unchanged_successor {
        print_message(&format!("unchanged: its successor {successor}, which its owner made"));
    }
    Ok(())
}
