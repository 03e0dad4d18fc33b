//! `patd user export` and `patd user delete`: what is held about a user, and its erasure.

use std::{
    fs::OpenOptions,
    io::{self, BufWriter, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use super::{
    confirmation::confirm,
    failure::Failure,
    global::GlobalOptions,
    output::{self, Format},
    terminal::{escaped, print_message},
};
use crate::{
    control::Request,
    store::sqlite::Access,
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

/// Deletes a user, after a question that says what ends.
pub(super) fn delete(options: &GlobalOptions, user: String, yes: bool, format: Format) -> Result<(), Failure> {
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
