//! `patd service-account`: principals for software, as an administrator manages them.

use clap::{Args, Subcommand};

use super::{
    failure::Failure,
    global::GlobalOptions,
    output::{self, Format, Wide},
    table::{Column, Fit, print_pairs, print_table},
    terminal::{escaped, print_message},
};
use crate::{
    control::{Request, ServiceAccountRequest},
    store::Access,
    views::ServiceAccountView,
};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Create a service account and print its id
    ///
    /// It owns tokens and environments, has no password, and cannot sign in. Create a token for it with
    /// patd token create --owner ID.
    Create(Create),
    /// List service accounts, newest first
    List(List),
    /// Show a service account and its managers
    Show {
        #[command(flatten)]
        account: AccountArgument,
        #[command(flatten)]
        format: Format,
    },
    /// Change the name or the description
    Update {
        #[command(flatten)]
        account: AccountArgument,
        /// The new name
        #[arg(long, required_unless_present = "description")]
        name: Option<String>,
        /// What it is for; an empty text removes the description
        #[arg(long, value_name = "TEXT")]
        description: Option<String>,
    },
    /// Disable a service account: refuses its tokens until it is enabled
    Disable(AccountArgument),
    /// Enable a service account that was disabled
    Enable(AccountArgument),
    /// Delete a service account with its tokens and environments; patd user owns ID lists them
    Delete(AccountArgument),
    /// Let a user manage the service account, its tokens and its environments
    AddManager(ManagerArguments),
    /// Take that right from a user
    RemoveManager(ManagerArguments),
}

#[derive(Debug, Args)]
pub(super) struct Create {
    /// The name
    #[arg(long)]
    name: String,
    /// What it is for
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// A user who manages it: e-mail address or id; may be repeated
    #[arg(long = "manager", value_name = "USER")]
    managers: Vec<String>,
    #[command(flatten)]
    format: Format,
}

#[derive(Debug, Args)]
pub(super) struct List {
    /// Only those whose name or description contains this text; ignores case
    #[arg(long, value_name = "TEXT")]
    search: Option<String>,
    #[command(flatten)]
    wide: Wide,
    #[command(flatten)]
    format: Format,
}

#[derive(Debug, Args)]
pub(super) struct AccountArgument {
    /// The id of the service account
    id: String,
}

#[derive(Debug, Args)]
pub(super) struct ManagerArguments {
    /// The id of the service account
    id: String,
    /// The e-mail address or id of the user
    user: String,
}

pub(super) fn run(options: &GlobalOptions, command: Command) -> Result<(), Failure> {
    let (request, outcome) = match command {
        Command::Create(arguments) => return create(options, arguments),
        Command::List(arguments) => return list(options, arguments),
        Command::Show { account, format } => return show(options, account.id, format),
        Command::Update { account, name, description } => {
            (ServiceAccountRequest::Update { id: account.id, name, description }, "was changed")
        }
        Command::Disable(account) => (ServiceAccountRequest::Disable(account.id), "is disabled"),
        Command::Enable(account) => (ServiceAccountRequest::Enable(account.id), "is enabled"),
        Command::Delete(account) => {
            (ServiceAccountRequest::Delete(account.id), "was deleted, with its tokens and environments")
        }
        Command::AddManager(ManagerArguments { id, user }) => {
            (ServiceAccountRequest::AddManager { id, user }, "is managed by the user, too")
        }
        Command::RemoveManager(ManagerArguments { id, user }) => {
            (ServiceAccountRequest::RemoveManager { id, user }, "is no longer managed by the user")
        }
    };
    report(&execute(options, request)?, outcome);
    Ok(())
}

fn execute(options: &GlobalOptions, request: ServiceAccountRequest) -> Result<ServiceAccountView, Failure> {
    Ok(options.execute(Request::ServiceAccount(request), Access::Existing)?.single()?)
}

fn create(options: &GlobalOptions, arguments: Create) -> Result<(), Failure> {
    let Create { name, description, managers, format } = arguments;
    let account = execute(options, ServiceAccountRequest::Create { name, description, managers })?;
    report(&account, "was created");
    match format.json {
        true => output::print_json(&account),
        false => output::print(&account.id),
    }
}

fn list(options: &GlobalOptions, arguments: List) -> Result<(), Failure> {
    let List { search, wide, format } = arguments;
    let request = Request::ServiceAccount(ServiceAccountRequest::List { search });
    let items = options.execute(request, Access::Existing)?;
    if format.json {
        return output::print_json_lines(items);
    }
    let row = |account: ServiceAccountView| {
        let state = state(&account).to_owned();
        let managers: Vec<String> = account.managers.into_iter().map(|manager| manager.name).collect();
        [account.id, state, account.name, managers.join(", "), account.description.unwrap_or_default()]
    };
    if wide.wide {
        let columns = ["ID", "STATE", "NAME", "MANAGERS", "DESCRIPTION"].map(Column::full);
        return print_table(columns, Fit::Unlimited, items, row);
    }
    let columns = [
        Column::full("ID"),
        Column::full("STATE"),
        Column::shortened("NAME"),
        Column::shortened("MANAGERS"),
        Column::optional("DESCRIPTION"),
    ];
    print_table(columns, Fit::Terminal, items, row)
}

const fn state(account: &ServiceAccountView) -> &'static str {
    if account.disabled_at.is_some() { "disabled" } else { "enabled" }
}

fn show(options: &GlobalOptions, id: String, format: Format) -> Result<(), Failure> {
    let account = execute(options, ServiceAccountRequest::Show(id))?;
    if format.json {
        return output::print_json(&account);
    }
    let managers: Vec<String> =
        account.managers.iter().map(|manager| format!("{} ({})", manager.name, manager.user_id)).collect();
    let managers = if managers.is_empty() { "none".to_owned() } else { managers.join(", ") };
    print_pairs(&[
        ("id", &account.id),
        ("name", &account.name),
        ("description", account.description.as_deref().unwrap_or("-")),
        ("created", &account.created_at),
        ("disabled", account.disabled_at.as_deref().unwrap_or("no")),
        ("managers", &managers),
    ])
}

fn report(account: &ServiceAccountView, outcome: &str) {
    print_message(&format!("service account {} {outcome}", escaped(&account.name)));
}
