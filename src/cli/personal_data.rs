//! `patd user export` and `patd user delete`: what is held about a user, and its erasure.

use std::{
    fs::OpenOptions,
    io::{self, BufWriter, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use clap::Args;

use super::{
    confirmation::confirm,
    failure::Failure,
    global::GlobalOptions,
    output::{self, Format},
    ownership::{TransferTo, counted, how_much},
    terminal::{escaped, print_message},
};
use crate::{
    control::{Request, UserRemoval},
    store::Access,
    views::{DeletionView, ExportDocument, ExportItemView, UserView},
};

/// Prints everything that is held about a user, or writes it to a new file.
pub(super) fn export(options: &GlobalOptions, user: String, file: Option<&Path>) -> Result<(), Failure> {
    let mut items = options.execute(Request::ExportUser(user), Access::Existing)?;
    let mut out: Box<dyn Write> = match file {
        None => Box::new(BufWriter::new(io::stdout().lock())),
        Some(path) => {
            let created = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
            let file = created.map_err(|error| {
                Failure::Refused(vec![format!("{} cannot be created: {error}", escaped(&path.display().to_string()))])
            })?;
            Box::new(BufWriter::new(file))
        }
    };
    let mut document = ExportDocument::default();
    items.each(|item: ExportItemView| {
        document.section(&item.section);
        if let Some(row) = item.row {
            document.row(row.get());
        }
        out.write_all(document.take().as_bytes())
    })?;
    document.end();
    out.write_all(document.take().as_bytes()).and_then(|()| out.flush()).map_err(Failure::Output)
}

#[derive(Debug, Args)]
pub(super) struct Delete {
    /// The e-mail address or id of the user
    user: String,
    #[command(flatten)]
    transfer: TransferTo,
    /// Do not ask for confirmation
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    format: Format,
}

/// Deletes a user, after a question that says what ends and what is handed over.
pub(super) fn delete(options: &GlobalOptions, arguments: Delete) -> Result<(), Failure> {
    let Delete { user, transfer: TransferTo { transfer_to }, yes, format } = arguments;
    let database = options.database()?;
    let user: UserView = database.execute(Request::ShowUser(user), Access::Existing)?.single()?;
    let removal = UserRemoval { user: user.id, transfer_to };
    if !yes {
        let preview = Request::PreviewDeletion(removal.clone());
        let ends: DeletionView = database.execute(preview, Access::Existing)?.single()?;
        print_message(&format!("{} is deleted for good, with {}.", escaped(&user.email), what_ends(&ends)));
        match (&ends.handed_over, &removal.transfer_to) {
            (Some(handed_over), Some(to)) => {
                print_message(&format!("{} get another owner first: {}.", how_much(handed_over), escaped(to)));
            }
            _ if ends.tokens > 0 || ends.environments > 1 || ends.environment_tokens > 0 => {
                print_message("To keep tokens and environments valid, hand them over: --transfer-to OWNER.");
            }
            _ => {}
        }
        confirm("Delete the user?")?;
    }
    let deleted: DeletionView = database.execute(Request::DeleteUser(removal), Access::Existing)?.single()?;
    let ended = what_ends(&deleted);
    let handed_over = deleted.handed_over.as_ref();
    let handed_over = handed_over.map_or_else(String::new, |it| format!("; {} were handed over before", how_much(it)));
    print_message(&format!("{} was deleted, with {ended}{handed_over}", escaped(&user.email)));
    if format.json { output::print_json(&deleted) } else { Ok(()) }
}

fn what_ends(ends: &DeletionView) -> String {
    format!(
        "{}, {} and {} that {} {}",
        counted(ends.sessions, "session"),
        counted(ends.tokens, "personal access token"),
        counted(ends.environments, "environment"),
        if ends.environments == 1 { "has" } else { "have" },
        counted(ends.environment_tokens, "token")
    )
}
