//! `patd user`: creates, lists and changes users, as an administrator.

use clap::{Args, Subcommand, ValueEnum};

use super::{
    confirmation::confirm,
    failure::Failure,
    global::GlobalOptions,
    output::{self, Format, Wide},
    password::PasswordSource,
    table::{Column, Fit, print_pairs, print_table},
    terminal::{escaped, print_message},
};
use crate::{
    control::{NewUser, Request, UserList, UserSort},
    domain::account::Email,
    store::sqlite::Access,
    views::{DeletionView, UserView},
};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Create a user and print its id; also creates the database file if it does not exist
    Create(Create),
    /// List users, oldest first
    ///
    /// In a terminal, long names and addresses are shortened. --wide and --json show them in full.
    List(List),
    /// Show a user
    Show {
        #[command(flatten)]
        user: UserArgument,
        #[command(flatten)]
        format: Format,
    },
    /// Disable a user: ends all sessions, and refuses the tokens until the user is enabled
    Disable(UserArgument),
    /// Enable a user that was disabled
    Enable(UserArgument),
    /// Delete a user with their tokens and environments, and erase their personal data; this cannot be undone
    ///
    /// The audit trail keeps ids and what happened. Backups and log files are not changed.
    Delete {
        #[command(flatten)]
        user: UserArgument,
        /// Do not ask for confirmation
        #[arg(long)]
        yes: bool,
        #[command(flatten)]
        format: Format,
    },
    /// Change the e-mail address with which a user signs in; it is not verified
    SetEmail {
        #[command(flatten)]
        user: UserArgument,
        /// The new address
        email: String,
    },
    /// Change the password of a user, and end all sessions of the user
    SetPassword {
        #[command(flatten)]
        user: UserArgument,
        #[command(flatten)]
        password: PasswordSource,
    },
}

#[derive(Debug, Args)]
pub(super) struct Create {
    /// The e-mail address to sign in with
    #[arg(long)]
    email: String,
    /// The name of the person
    #[arg(long)]
    name: String,
    #[command(flatten)]
    password: PasswordSource,
    #[command(flatten)]
    format: Format,
}

#[derive(Debug, Args)]
pub(super) struct List {
    /// Only users whose name or e-mail address contains this text; ignores case
    #[arg(long, value_name = "TEXT")]
    search: Option<String>,
    /// The order
    #[arg(long, value_name = "BY", default_value = "created")]
    sort: Sort,
    /// Reverse the order
    #[arg(long)]
    reverse: bool,
    /// The most users to list
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    limit: Option<u64>,
    #[command(flatten)]
    wide: Wide,
    #[command(flatten)]
    format: Format,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Sort {
    /// Oldest first
    Created,
    /// By name
    Name,
    /// By e-mail address
    Email,
}

#[derive(Debug, Args)]
pub(super) struct UserArgument {
    /// The e-mail address or id of the user
    user: String,
}

pub(super) fn run(options: &GlobalOptions, command: Command) -> Result<(), Failure> {
    let (request, outcome) = match command {
        Command::Create(arguments) => return create(options, arguments),
        Command::List(arguments) => return list(options, arguments),
        Command::Show { user, format } => return show(options, user.user, format),
        Command::Disable(user) => (Request::DisableUser(user.user), "is disabled"),
        Command::Enable(user) => (Request::EnableUser(user.user), "is enabled"),
        Command::Delete { user, yes, format } => return delete(options, user.user, yes, format),
        Command::SetEmail { user, email } => {
            let email =
                Email::parse(&email).map_err(|error| Failure::Refused(vec![format!("the e-mail address {error}")]))?;
            let request = Request::SetEmail { user: user.user, email: email.to_string() };
            (request, "is now the e-mail address to sign in with")
        }
        Command::SetPassword { user, password } => return set_password(options, user.user, &password),
    };
    report(&options.execute(request, Access::Existing)?.single()?, outcome);
    Ok(())
}

fn create(options: &GlobalOptions, arguments: Create) -> Result<(), Failure> {
    let Create { email, name, password, format } = arguments;
    let user = NewUser { name, email };
    // Checked before the password is asked for.
    user.parse()?;
    let request = Request::CreateUser { user, password: password.read()? };
    let user: UserView = options.execute(request, Access::Create)?.single()?;
    report(&user, "was created");
    match format.json {
        true => output::print_json(&user),
        false => output::print(&user.id),
    }
}

fn set_password(options: &GlobalOptions, user: String, password: &PasswordSource) -> Result<(), Failure> {
    let database = options.database()?;
    // Checked before the password is asked for.
    let user: UserView = database.execute(Request::ShowUser(user), Access::Existing)?.single()?;
    let request = Request::SetPassword { user: user.id, password: password.read()? };
    let user = database.execute(request, Access::Existing)?.single()?;
    report(&user, "has a new password; all sessions of the user have ended");
    Ok(())
}

fn delete(options: &GlobalOptions, user: String, yes: bool, format: Format) -> Result<(), Failure> {
    let database = options.database()?;
    let user: UserView = database.execute(Request::ShowUser(user), Access::Existing)?.single()?;
    if !yes {
        let preview = Request::PreviewDeletion(user.id.clone());
        let ends: DeletionView = database.execute(preview, Access::Existing)?.single()?;
        print_message(&format!("{} is deleted for good, with {}.", escaped(&user.email), what_ends(&ends)));
        confirm("Delete the user?")?;
    }
    let deleted: DeletionView = database.execute(Request::DeleteUser(user.id), Access::Existing)?.single()?;
    print_message(&format!("{} was deleted, with {}", escaped(&user.email), what_ends(&deleted)));
    if format.json { output::print_json(&deleted) } else { Ok(()) }
}

fn what_ends(ends: &DeletionView) -> String {
    let count = |number: u64, what: &str| format!("{number} {what}{}", if number == 1 { "" } else { "s" });
    format!(
        "{}, {} and {} that {} {}",
        count(ends.sessions, "session"),
        count(ends.tokens, "personal access token"),
        count(ends.environments, "environment"),
        if ends.environments == 1 { "has" } else { "have" },
        count(ends.environment_tokens, "token")
    )
}

fn list(options: &GlobalOptions, arguments: List) -> Result<(), Failure> {
    let List { search, sort, reverse, limit, wide, format } = arguments;
    let sort = match sort {
        Sort::Created => UserSort::Created,
        Sort::Name => UserSort::Name,
        Sort::Email => UserSort::Email,
    };
    let items = options.execute(Request::ListUsers(UserList { search, sort, reverse, limit }), Access::Existing)?;
    if format.json {
        return output::print_json_lines(items);
    }
    let state = |user: &UserView| if user.disabled_at.is_some() { "disabled" } else { "enabled" }.to_owned();
    if wide.wide {
        let columns = ["ID", "EMAIL", "NAME", "STATE", "CREATED"].map(Column::full);
        let row = |user: UserView| {
            let state = state(&user);
            [user.id, user.email, user.name, state, user.created_at]
        };
        return print_table(columns, Fit::Unlimited, items, row);
    }
    let columns = [Column::full("ID"), Column::full("STATE"), Column::shortened("EMAIL"), Column::shortened("NAME")];
    let row = |user: UserView| {
        let state = state(&user);
        [user.id, state, user.email, user.name]
    };
    print_table(columns, Fit::Terminal, items, row)
}

fn show(options: &GlobalOptions, user: String, format: Format) -> Result<(), Failure> {
    let user: UserView = options.execute(Request::ShowUser(user), Access::Existing)?.single()?;
    if format.json {
        return output::print_json(&user);
    }
    let disabled = user.disabled_at.as_deref().unwrap_or("no");
    print_pairs(&[
        ("id", &user.id),
        ("email", &user.email),
        ("name", &user.name),
        ("created", &user.created_at),
        ("disabled", disabled),
    ])
}

fn report(user: &UserView, outcome: &str) {
    print_message(&format!("{} {outcome}", escaped(&user.email)));
}
