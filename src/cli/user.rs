//! `patd user`: the administrator's hand on accounts.

use clap::{Args, Subcommand, ValueEnum};

use super::{
    Failure, Shared, output,
    password::PasswordSource,
    table::{Column, Fit, print_pairs, print_table},
};
use crate::{
    control::{NewUser, Request, UserList, UserSort, UserView},
    domain::account::Email,
    store::sqlite::Access,
};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Make a user and print its id; makes the database file where there is none
    Create(Create),
    /// List users, oldest first
    ///
    /// The table fits the terminal: long names and addresses are cut. In a pipe they are whole. --wide and --json show
    /// everything, --json as one object a line.
    List(List),
    /// Show a user
    Show {
        #[command(flatten)]
        user: Who,
        #[command(flatten)]
        format: Format,
    },
    /// Disable a user: sessions end for good, tokens are refused until the user is enabled
    Disable(Who),
    /// Enable a user
    Enable(Who),
    /// Set the address that a user signs in with; it is not verified
    SetEmail {
        #[command(flatten)]
        user: Who,
        /// The new address
        email: String,
    },
    /// Set a user's password, which ends all their sessions
    SetPassword {
        #[command(flatten)]
        user: Who,
        #[command(flatten)]
        password: PasswordSource,
    },
}

#[derive(Debug, Args)]
pub(super) struct Create {
    /// The address to sign in with
    #[arg(long)]
    email: String,
    /// What the person is called
    #[arg(long)]
    name: String,
    #[command(flatten)]
    password: PasswordSource,
    #[command(flatten)]
    format: Format,
}

#[derive(Debug, Args)]
pub(super) struct List {
    /// Only those whose name or address holds this text; case and accents' spelling do not matter
    #[arg(long, value_name = "TEXT")]
    search: Option<String>,
    /// In which order
    #[arg(long, value_name = "BY", default_value = "created")]
    sort: Sort,
    /// In the reverse of that order
    #[arg(long)]
    reverse: bool,
    /// At most so many
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
    /// By address
    Email,
}

#[derive(Debug, Args)]
pub(super) struct Who {
    /// E-mail address or id
    user: String,
}

#[derive(Clone, Copy, Debug, Args)]
pub(super) struct Format {
    /// Print JSON, one object a line
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Clone, Copy, Debug, Args)]
pub(super) struct Wide {
    /// Print all columns, as wide as they are
    #[arg(long, conflicts_with = "json")]
    pub(super) wide: bool,
}

pub(super) fn run(shared: &Shared, command: Command) -> Result<(), Failure> {
    let (request, done) = match command {
        Command::Create(arguments) => return create(shared, arguments),
        Command::List(arguments) => return list(shared, arguments),
        Command::Show { user, format } => return show(shared, user.user, format),
        Command::Disable(user) => (Request::DisableUser(user.user), "is disabled"),
        Command::Enable(user) => (Request::EnableUser(user.user), "is enabled"),
        Command::SetEmail { user, email } => {
            let email = Email::parse(&email).map_err(|error| Failure::Refused(vec![format!("the address {error}")]))?;
            let request = Request::SetEmail { user: user.user, email: email.to_string() };
            (request, "is the address to sign in with from now on")
        }
        Command::SetPassword { user, password } => return set_password(shared, user.user, &password),
    };
    said(&shared.ask(request, Access::Existing)?.single()?, done);
    Ok(())
}

fn create(shared: &Shared, arguments: Create) -> Result<(), Failure> {
    let Create { email, name, password, format } = arguments;
    let user = NewUser { name, email };
    // Before somebody types a password in vain.
    user.judge()?;
    let request = Request::CreateUser { user, password: password.read()? };
    let user: UserView = shared.ask(request, Access::Create)?.single()?;
    said(&user, "was made");
    match format.json {
        true => output::print_json(&user),
        false => output::print(&user.id),
    }
}

fn set_password(shared: &Shared, who: String, password: &PasswordSource) -> Result<(), Failure> {
    let database = shared.database()?;
    // Before somebody types a password in vain.
    let user: UserView = database.ask(Request::ShowUser(who), Access::Existing)?.single()?;
    let request = Request::SetPassword { user: user.id, password: password.read()? };
    let user = database.ask(request, Access::Existing)?.single()?;
    said(&user, "has a new password; all sessions have ended");
    Ok(())
}

fn list(shared: &Shared, arguments: List) -> Result<(), Failure> {
    let List { search, sort, reverse, limit, wide, format } = arguments;
    let sort = match sort {
        Sort::Created => UserSort::Created,
        Sort::Name => UserSort::Name,
        Sort::Email => UserSort::Email,
    };
    let items = shared.ask(Request::ListUsers(UserList { search, sort, reverse, limit }), Access::Existing)?;
    if format.json {
        return output::print_json_lines(items);
    }
    let state = |user: &UserView| if user.disabled_at.is_some() { "disabled" } else { "enabled" }.to_owned();
    if wide.wide {
        let columns = ["ID", "EMAIL", "NAME", "STATE", "CREATED"].map(Column::whole);
        let row = |user: UserView| {
            let state = state(&user);
            [user.id, user.email, user.name, state, user.created_at]
        };
        return print_table(columns, Fit::Never, items, row);
    }
    let columns = [Column::whole("ID"), Column::whole("STATE"), Column::cut("EMAIL"), Column::cut("NAME")];
    let row = |user: UserView| {
        let state = state(&user);
        [user.id, state, user.email, user.name]
    };
    print_table(columns, Fit::Terminal, items, row)
}

fn show(shared: &Shared, who: String, format: Format) -> Result<(), Failure> {
    let user: UserView = shared.ask(Request::ShowUser(who), Access::Existing)?.single()?;
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

fn said(user: &UserView, what: &str) {
    output::note(&format!("{} {what}", output::escaped(&user.email)));
}
