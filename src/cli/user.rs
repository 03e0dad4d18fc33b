//! `patd user`: the administrator's hand on accounts.

use clap::{Args, Subcommand};
use serde::Serialize;

use super::{Failure, Shared, output, password::PasswordSource};
use crate::{
    domain::{
        account::{Email, User},
        audit::Origin,
        text::Name,
    },
    ops::{self, Context, Violation, accounts, profile},
    server,
    store::sqlite::Access,
};

/// How many users are asked of the store at once.
const PAGE: u32 = 100;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Make a user and print its id; makes the database file where there is none
    Create(Create),
    /// List all users, oldest first
    List {
        #[command(flatten)]
        format: Format,
    },
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
pub(super) struct Who {
    /// E-mail address or id
    user: String,
}

#[derive(Clone, Copy, Debug, Args)]
pub(super) struct Format {
    /// Print JSON, one line
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Serialize)]
struct UserView {
    id: String,
    name: String,
    email: String,
    current_environment_id: String,
    created_at: String,
    disabled_at: Option<String>,
}

impl From<User> for UserView {
    fn from(user: User) -> Self {
        Self {
            id: user.id.to_string(),
            name: user.name.to_string(),
            email: user.email.to_string(),
            current_environment_id: user.current_environment.to_string(),
            created_at: user.created_at.to_string(),
            disabled_at: user.disabled_at.map(|at| at.to_string()),
        }
    }
}

pub(super) fn run(shared: &Shared, command: Command) -> Result<(), Failure> {
    if let Command::Create(arguments) = command {
        return create(shared, &arguments);
    }
    let ctx = shared.open(Access::Existing)?;
    server::block_on(async move {
        match command {
            Command::Create(_) => Ok(()),
            Command::List { format } => list(&ctx, format).await,
            Command::Show { user, format } => show(find(&ctx, &user.user).await?, format),
            Command::Disable(user) => {
                let user = find(&ctx, &user.user).await?;
                accounts::disable(&ctx, user.id, Origin::COMMAND_LINE).await?;
                said(&user, "is disabled");
                Ok(())
            }
            Command::Enable(user) => {
                let user = find(&ctx, &user.user).await?;
                accounts::enable(&ctx, user.id, Origin::COMMAND_LINE).await?;
                said(&user, "is enabled");
                Ok(())
            }
            Command::SetEmail { user, email } => {
                let email =
                    Email::parse(&email).map_err(|error| Failure::Refused(vec![format!("the address {error}")]))?;
                let user = find(&ctx, &user.user).await?;
                let user = profile::set_email(&ctx, &user, email, Origin::COMMAND_LINE).await?;
                said(&user, "is the address to sign in with from now on");
                Ok(())
            }
            Command::SetPassword { user, password } => {
                let user = find(&ctx, &user.user).await?;
                accounts::set_password(&ctx, &user, password.read()?, Origin::COMMAND_LINE).await?;
                said(&user, "has a new password; all sessions have ended");
                Ok(())
            }
        }
    })
}

fn create(shared: &Shared, arguments: &Create) -> Result<(), Failure> {
    let name = Name::parse(&arguments.name).map_err(|error| Violation::new("name", error));
    let email = Email::parse(&arguments.email).map_err(|error| Violation::new("email", error));
    let (name, email) = match (name, email) {
        (Ok(name), Ok(email)) => (name, email),
        (name, email) => {
            let violations = name.err().into_iter().chain(email.err());
            return Err(violations.collect::<Vec<_>>().into());
        }
    };
    let account = accounts::NewAccount { name, email, password: arguments.password.read()? };
    let ctx = shared.open(Access::Create)?;
    let user = server::block_on(accounts::create(&ctx, account, Origin::COMMAND_LINE))?;
    said(&user, "was made");
    match arguments.format.json {
        true => output::print_json(&UserView::from(user)),
        false => output::print(&user.id.to_string()),
    }
}

async fn list(ctx: &Context, format: Format) -> Result<(), Failure> {
    let users = all(ctx).await?.into_iter().map(UserView::from);
    if format.json {
        return output::print_json(&users.collect::<Vec<_>>());
    }
    let row = |user: UserView| {
        let state = if user.disabled_at.is_some() { "disabled" } else { "enabled" };
        [user.id, user.email, user.name, state.to_owned(), user.created_at]
    };
    output::print_table(["ID", "EMAIL", "NAME", "STATE", "CREATED"], users.map(row))
}

fn show(user: User, format: Format) -> Result<(), Failure> {
    let user = UserView::from(user);
    if format.json {
        return output::print_json(&user);
    }
    let disabled = user.disabled_at.unwrap_or_else(|| "no".to_owned());
    let rows = [
        ["email".to_owned(), user.email],
        ["name".to_owned(), user.name],
        ["created".to_owned(), user.created_at],
        ["disabled".to_owned(), disabled],
    ];
    output::print_table(["id", &user.id], rows)
}

/// All users, oldest first.
pub(super) async fn all(ctx: &Context) -> Result<Vec<User>, Failure> {
    let mut users: Vec<User> = Vec::new();
    loop {
        let page = accounts::list(ctx, users.last().map(|user| user.id), PAGE).await?;
        if page.is_empty() {
            return Ok(users);
        }
        users.extend(page);
    }
}

/// The user of this e-mail address or id.
pub(super) async fn find(ctx: &Context, who: &str) -> Result<User, Failure> {
    accounts::find(ctx, who).await.map_err(|error| match error {
        ops::Error::NotFound => {
            Failure::NotFound(format!("there is no user {}; patd user list shows all", output::escaped(who)))
        }
        other => other.into(),
    })
}

fn said(user: &User, what: &str) {
    output::note(&format!("{} {what}", output::escaped(user.email.as_str())));
}
