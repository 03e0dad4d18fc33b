//! `patd user`: creates, lists and changes users, as an administrator.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::{
    failure::Failure,
    global::GlobalOptions,
    output::{self, Format, Wide},
    ownership,
    password::PasswordSource,
    personal_data,
    table::{Column, Fit, print_pairs, print_table},
    terminal::{escaped, print_message},
};
use crate::{
    control::{CountView, NewUser, Request, UserList, UserSort},
    domain::{
        account::{Email, Role},
        account_state::AccountState,
    },
    store::Access,
    views::{AccountDetailsView, AccountView, InvitedView, SessionView, UserView},
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
    /// List what a user owns, and disable the user: ends all sessions, and refuses the tokens until the user is enabled
    ///
    /// An open password link ends, too. With --transfer-to, the tokens and environments stay valid: they get another owner.
    Disable(ownership::Disable),
    /// Enable a user that was disabled
    Enable(UserArgument),
    /// Delete a user with their tokens and environments, and erase their personal data; this cannot be undone
    ///
    /// With --transfer-to, the tokens and environments stay valid: they get another owner first, all in one change. The
    /// environment "Default" is deleted with its tokens all the same. The audit trail keeps ids and what happened. Backups
    /// and log files are not changed.
    Delete(personal_data::Delete),
    /// Make a user an administrator, or a member again; it holds from the next request on
    ///
    /// Unlike the API, this command can also demote the last administrator.
    SetRole {
        #[command(flatten)]
        user: UserArgument,
        /// The new role
        role: RoleName,
    },
    /// Forget the failed attempts that the throttle holds against the account of a user
    Unlock(UserArgument),
    /// List the sessions of a user, newest first
    Sessions {
        #[command(flatten)]
        user: UserArgument,
        /// End all of them instead
        #[arg(long, conflicts_with = "json")]
        end_all: bool,
        #[command(flatten)]
        format: Format,
    },
    /// Remove the password of a user, end all sessions, and print a link token with which the user can set a password
    ResetPassword {
        #[command(flatten)]
        user: UserArgument,
        #[command(flatten)]
        format: Format,
    },
    /// List what a user owns: tokens, environments and managed service accounts
    Owns(ownership::Owns),
    /// Hand over the tokens and environments of a user to another user or a service account, in one step
    HandOver(ownership::HandOver),
    /// Print everything that is held about a user, as JSON, without secrets and hashes
    Export {
        #[command(flatten)]
        user: UserArgument,
        /// Write to this file, which must not exist, instead of stdout
        #[arg(long, value_name = "FILE")]
        output: Option<PathBuf>,
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
    /// Make the user an administrator
    #[arg(long)]
    admin: bool,
    /// Set no password; print a link token with which the user can set one, instead of the id
    #[arg(long, conflicts_with_all = ["password_stdin", "password_file"])]
    invite: bool,
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
    /// Only users with this role
    #[arg(long)]
    role: Option<RoleName>,
    /// Only users whose account is in this state
    #[arg(long)]
    state: Option<State>,
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

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum RoleName {
    Member,
    Admin,
}

impl RoleName {
    fn text(self) -> String {
        let role = match self {
            Self::Member => Role::Member,
            Self::Admin => Role::Admin,
        };
        role.as_str().to_owned()
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum State {
    /// Enabled, with a password
    Active,
    /// Disabled
    Disabled,
    /// Enabled, without a password yet
    Invited,
}

impl State {
    fn text(self) -> String {
        let state = match self {
            Self::Active => AccountState::Active,
            Self::Disabled => AccountState::Disabled,
            Self::Invited => AccountState::Invited,
        };
        state.as_str().to_owned()
    }
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
        Command::Owns(arguments) => return ownership::show(options, arguments),
        Command::HandOver(arguments) => return ownership::hand_over(options, arguments),
        Command::Disable(arguments) => return ownership::disable(options, arguments),
        Command::Enable(user) => (Request::EnableUser(user.user), "is enabled"),
        Command::Export { user, output } => return personal_data::export(options, user.user, output.as_deref()),
        Command::Delete(arguments) => return personal_data::delete(options, arguments),
        Command::SetRole { user, role } => {
            let outcome = match role {
                RoleName::Member => "is a member",
                RoleName::Admin => "is an administrator",
            };
            (Request::SetRole { user: user.user, role: role.text() }, outcome)
        }
        Command::Unlock(user) => return unlock(options, user.user),
        Command::Sessions { user, end_all: true, .. } => return end_sessions(options, user.user),
        Command::Sessions { user, format, .. } => return sessions(options, user.user, format),
        Command::ResetPassword { user, format } => {
            let invited = options.execute(Request::ResetPassword(user.user), Access::Existing)?.single()?;
            return print_link(&invited, "has no password any more; all sessions of the user have ended", format);
        }
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
    let Create { email, name, admin, invite, password, format } = arguments;
    let user = NewUser { name, email, admin };
    // Checked before the password is asked for.
    user.parse()?;
    if invite {
        let invited = options.execute(Request::InviteUser(user), Access::Create)?.single()?;
        return print_link(&invited, "was created", format);
    }
    let request = Request::CreateUser { user, password: password.read()? };
    let user: AccountView = options.execute(request, Access::Create)?.single()?;
    print_message(&format!("{} was created", escaped(&user.email)));
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

fn list(options: &GlobalOptions, arguments: List) -> Result<(), Failure> {
    let List { search, role, state, sort, reverse, limit, wide, format } = arguments;
    let (role, state) = (role.map(RoleName::text), state.map(State::text));
    let sort = match sort {
        Sort::Created => UserSort::Created,
        Sort::Name => UserSort::Name,
        Sort::Email => UserSort::Email,
    };
    let list = UserList { search, role, state, sort, reverse, limit };
    let items = options.execute(Request::ListUsers(list), Access::Existing)?;
    if format.json {
        return output::print_json_lines(items);
    }
    if wide.wide {
        let columns = ["ID", "EMAIL", "NAME", "ROLE", "STATE", "CREATED"].map(Column::full);
        let row = |user: AccountView| [user.id, user.email, user.name, user.role, user.state, user.created_at];
        return print_table(columns, Fit::Unlimited, items, row);
    }
    let columns = [Column::full("ID"), Column::full("STATE"), Column::shortened("EMAIL"), Column::shortened("NAME")];
    let row = |user: AccountView| [user.id, user.state, user.email, user.name];
    print_table(columns, Fit::Terminal, items, row)
}

fn show(options: &GlobalOptions, user: String, format: Format) -> Result<(), Failure> {
    let details: AccountDetailsView = options.execute(Request::ShowUser(user), Access::Existing)?.single()?;
    if format.json {
        return output::print_json(&details);
    }
    let user = &details.account;
    let disabled = user.disabled_at.as_deref().unwrap_or("no");
    let link = details.password_link_expires_at.as_deref().map(|at| format!("until {at}"));
    let signed_in = details.last_sign_in_at.as_deref().unwrap_or("not known");
    print_pairs(&[
        ("id", &user.id),
        ("email", &user.email),
        ("name", &user.name),
        ("role", &user.role),
        ("state", &user.state),
        ("created", &user.created_at),
        ("disabled", disabled),
        ("password link", link.as_deref().unwrap_or("none")),
        ("last sign-in", signed_in),
        ("tokens", &details.tokens.to_string()),
        ("sessions", &details.sessions.to_string()),
        ("environments", &details.environments.to_string()),
    ])
}

fn unlock(options: &GlobalOptions, user: String) -> Result<(), Failure> {
    let cleared: CountView = options.execute(Request::UnlockUser(user), Access::Existing)?.single()?;
    let outcome = match cleared.count {
        0 => "was not throttled; nothing was changed",
        _ => "is not throttled any more",
    };
    print_message(&format!("{} {outcome}", escaped(&cleared.user_email)));
    Ok(())
}

fn sessions(options: &GlobalOptions, user: String, format: Format) -> Result<(), Failure> {
    let items = options.execute(Request::ListSessions(user), Access::Existing)?;
    if format.json {
        return output::print_json_lines(items);
    }
    let columns =
        [Column::full("ID"), Column::full("SIGNED IN"), Column::full("LAST USED"), Column::shortened("DEVICE")];
    let row = |session: SessionView| {
        let device = session.device_name.unwrap_or_else(|| "-".to_owned());
        [session.id, session.created_at, session.last_used_at, device]
    };
    print_table(columns, Fit::Terminal, items, row)
}

fn end_sessions(options: &GlobalOptions, user: String) -> Result<(), Failure> {
    let ended: CountView = options.execute(Request::EndSessions(user), Access::Existing)?.single()?;
    let count = match ended.count {
        0 => "no session of the user was open".to_owned(),
        1 => "1 session of the user has ended".to_owned(),
        count => format!("{count} sessions of the user have ended"),
    };
    print_message(&format!("{}: {count}", escaped(&ended.user_email)));
    Ok(())
}

/// Prints the link token, or everything as JSON.
fn print_link(invited: &InvitedView, outcome: &str, format: Format) -> Result<(), Failure> {
    let InvitedView { account, password_link } = invited;
    print_message(&format!("{} {outcome}; the id is {}", escaped(&account.email), account.id));
    print_message(&format!(
        "with this token, the user sets a password once, until {}: POST /api/v1/auth/password-link",
        password_link.expires_at
    ));
    match format.json {
        true => output::print_json(invited),
        false => output::print(&password_link.token),
    }
}

fn report(user: &UserView, outcome: &str) {
    print_message(&format!("{} {outcome}", escaped(&user.email)));
}
