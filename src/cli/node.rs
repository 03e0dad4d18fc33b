//! `patd node …`: the servers that share a database.

use clap::Subcommand;

use super::{
    failure::Failure,
    global::GlobalOptions,
    output::{self, Format},
    table::{Column, Fit, print_table},
    terminal::print_message,
};
use crate::{
    control::{NodeView, Request},
    store::Access,
};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List the servers, oldest first: their release, since when, and how many changes they are behind
    ///
    /// A revocation is answered when every active server has applied it. A server that has not renewed its lease for a second is
    /// "gone". It registers again when it is back, under a new id.
    List(Format),
}

pub(super) fn run(options: &GlobalOptions, command: &Command) -> Result<(), Failure> {
    let Command::List(format) = command;
    let mut nodes = options.execute(Request::ListNodes, Access::Existing)?;
    if format.json {
        return output::print_json_lines(nodes);
    }
    let mut count = 0;
    nodes.each(|_: NodeView| {
        count += 1;
        std::io::Result::Ok(())
    })?;
    if count == 0 {
        print_message(
            "no nodes: a database in a file has one server at most, and in PostgreSQL no server has registered",
        );
        return Ok(());
    }
    let columns = [
        Column::shortened("NAME"),
        Column::full("STATE"),
        Column::full("BEHIND"),
        Column::full("VERSION"),
        Column::full("REGISTERED"),
    ];
    print_table(columns, Fit::Terminal, nodes, |node: NodeView| {
        [node.name, node.state, node.behind.to_string(), node.version, node.registered_at]
    })
}
