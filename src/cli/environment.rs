//! `patd environment`: the environments of everybody, as an administrator manages them.

use clap::{Args, Subcommand};

use super::{
    failure::Failure,
    global::GlobalOptions,
    output::{self, Format, Wide},
    table::{Column, Fit, print_pairs, print_table},
    terminal::{escaped, print_message},
};
use crate::{
    control::{EnvironmentRequest, Request},
    store::Access,
    views::{OwnedEnvironmentView, OwnerView},
};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List environments with their owners, newest first
    List(List),
    /// Show an environment
    Show {
        #[command(flatten)]
        environment: EnvironmentArgument,
        #[command(flatten)]
        format: Format,
    },
    /// Give an environment, with its tokens, to another owner; the tokens stay valid
    Transfer {
        #[command(flatten)]
        environment: EnvironmentArgument,
        /// The new owner: e-mail address or id of a user, or id of a service account
        #[arg(long, value_name = "OWNER")]
        to: String,
    },
    /// Delete an environment with its tokens
    Delete(EnvironmentArgument),
}

#[derive(Debug, Args)]
pub(super) struct List {
    /// Only those of this owner: e-mail address or id of a user, or id of a service account
    #[arg(long)]
    owner: Option<String>,
    /// Only those whose name contains this text; ignores case
    #[arg(long, value_name = "TEXT")]
    search: Option<String>,
    #[command(flatten)]
    wide: Wide,
    #[command(flatten)]
    format: Format,
}

#[derive(Debug, Args)]
pub(super) struct EnvironmentArgument {
    /// The id of the environment
    id: String,
}

pub(super) fn run(options: &GlobalOptions, command: Command) -> Result<(), Failure> {
    match command {
        Command::List(arguments) => list(options, arguments),
        Command::Show { environment, format } => show(options, environment.id, format),
        Command::Transfer { environment, to } => {
            let moved = execute(options, EnvironmentRequest::Transfer { id: environment.id, to })?;
            let (name, owner) = (escaped(&moved.name), escaped(label(&moved.owner)));
            print_message(&format!("environment {name} belongs to {owner} now; its tokens stay valid"));
            Ok(())
        }
        Command::Delete(environment) => {
            let deleted = execute(options, EnvironmentRequest::Delete(environment.id))?;
            print_message(&format!("environment {} was deleted, with its tokens", escaped(&deleted.name)));
            Ok(())
        }
    }
}

fn execute(options: &GlobalOptions, request: EnvironmentRequest) -> Result<OwnedEnvironmentView, Failure> {
    Ok(options.execute(Request::Environment(request), Access::Existing)?.single()?)
}

/// The address of a user, or the name of a service account.
fn label(owner: &OwnerView) -> &str {
    owner.email.as_deref().unwrap_or(&owner.name)
}

fn list(options: &GlobalOptions, arguments: List) -> Result<(), Failure> {
    let List { owner, search, wide, format } = arguments;
    let request = Request::Environment(EnvironmentRequest::List { owner, search });
    let items = options.execute(request, Access::Existing)?;
    if format.json {
        return output::print_json_lines(items);
    }
    if wide.wide {
        let columns = ["ID", "OWNER", "OWNER ID", "NAME", "DEFAULT", "CREATED"].map(Column::full);
        return print_table(columns, Fit::Unlimited, items, |environment: OwnedEnvironmentView| {
            let owner = label(&environment.owner).to_owned();
            let is_default = if environment.is_default { "yes" } else { "no" }.to_owned();
            [environment.id, owner, environment.owner.id, environment.name, is_default, environment.created_at]
        });
    }
    let columns = [Column::full("ID"), Column::shortened("OWNER"), Column::shortened("NAME")];
    print_table(columns, Fit::Terminal, items, |environment: OwnedEnvironmentView| {
        [environment.id, label(&environment.owner).to_owned(), environment.name]
    })
}

fn show(options: &GlobalOptions, id: String, format: Format) -> Result<(), Failure> {
    let environment = execute(options, EnvironmentRequest::Show(id))?;
    if format.json {
        return output::print_json(&environment);
    }
    let owner = format!("{} ({})", label(&environment.owner), environment.owner.id);
    print_pairs(&[
        ("id", &environment.id),
        ("name", &environment.name),
        ("owner", &owner),
        ("default", if environment.is_default { "yes" } else { "no" }),
        ("created", &environment.created_at),
    ])
}
