//! `patd database`: copies a whole database from a file to PostgreSQL, and back.

use std::{
    fs,
    path::{Path, PathBuf},
};

use clap::{Args, Subcommand};

use super::{
    failure::Failure,
    global::GlobalOptions,
    progress::Progress,
    terminal::{escaped, print_message},
};
use crate::{
    compose::{self, CopyFailure, CopyPlaces},
    store::{Copied, CopyError, CopyProgress, StoreError},
};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Copy everything from a SQLite file to PostgreSQL, or back
    ///
    /// For a stopped server. The target must be empty: a file that does not exist, or a new database in PostgreSQL. What is
    /// copied has the same identifiers, numbers and hashes, so tokens keep working. In the end, the command reads both
    /// databases again and compares each table.
    ///
    /// If it is interrupted, run it again: it goes on where it was. Until it has ended, no server opens the target.
    ///
    /// An address in PostgreSQL is postgres://user:password@host/database. Other users of this machine can see the arguments
    /// of a command. If the address has a password, put it into a file that only you can read (--to-url-file) or into the
    /// environment (PATD_COPY_TO).
    Copy(Copy),
}

#[derive(Debug, Args)]
pub(super) struct Copy {
    /// The SQLite file or the address to copy from
    #[arg(
        long,
        value_name = "FILE|URL",
        env = "PATD_COPY_FROM",
        hide_env_values = true,
        required_unless_present = "from_url_file"
    )]
    from: Option<String>,
    /// A file that holds the address to copy from
    #[arg(long, value_name = "FILE", conflicts_with = "from")]
    from_url_file: Option<PathBuf>,
    /// The SQLite file or the address to copy to
    #[arg(
        long,
        value_name = "FILE|URL",
        env = "PATD_COPY_TO",
        hide_env_values = true,
        required_unless_present = "to_url_file"
    )]
    to: Option<String>,
    /// A file that holds the address to copy to
    #[arg(long, value_name = "FILE", conflicts_with = "to")]
    to_url_file: Option<PathBuf>,
    /// The certificates that the one of the PostgreSQL server must be signed by [default: those of the system]
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
}

pub(super) fn run(options: &GlobalOptions, command: Command) -> Result<(), Failure> {
    let Command::Copy(arguments) = command;
    if options.database.is_some() {
        return Err(Failure::Usage("--database has no meaning here: name the file with --from or --to".to_owned()));
    }
    let from = Place::new("--from", arguments.from, arguments.from_url_file.as_deref())?;
    let to = Place::new("--to", arguments.to, arguments.to_url_file.as_deref())?;
    let places = places(from, to, arguments.ca_file)?;
    let config = options.settings()?;
    let progress = Progress::new();
    let copied = compose::copy_database(&config, &places, &mut |at| progress.show(at.done, at.all, &text(&at)));
    drop(progress);
    print_message(&summary(&copied?));
    Ok(())
}

fn text(at: &CopyProgress) -> String {
    format!("{} {}", if at.is_comparing { "comparing" } else { "copying" }, at.table)
}

fn summary(copied: &Copied) -> String {
    let Copied { tables, rows, was_resumed } = copied;
    let how = if *was_resumed { "went on with an interrupted copy, and copied" } else { "copied" };
    format!("{how} {rows} rows of {tables} tables; both databases have the same rows")
}

/// A database.
#[cfg_attr(test, derive(Debug, PartialEq, Eq))]
enum Place {
    File(PathBuf),
    Url(String),
}

impl Place {
    /// No message contains an address, because it may have a password.
    fn new(flag: &str, given: Option<String>, file: Option<&Path>) -> Result<Self, Failure> {
        let is_url = |text: &str| text.starts_with("postgres://") || text.starts_with("postgresql://");
        let Some(file) = file else {
            let given = given.unwrap_or_default();
            return match given.split_once("://") {
                _ if is_url(&given) => Ok(Self::Url(given)),
                Some(_) => Err(Failure::Usage(format!("{flag}: an address begins with postgres://"))),
                None if given.is_empty() => Err(Failure::Usage(format!("{flag} is empty: name a file or an address"))),
                None => Ok(Self::File(given.into())),
            };
        };
        let shown = escaped(&file.display().to_string());
        let content = fs::read_to_string(file)
            .map_err(|error| Failure::Unavailable(format!("{flag}-url-file: {shown} cannot be read: {error}")))?;
        match content.trim() {
            url if is_url(url) => Ok(Self::Url(url.to_owned())),
            _ => Err(Failure::Usage(format!("{flag}-url-file: {shown} must hold an address, postgres://…"))),
        }
    }
}

fn places(from: Place, to: Place, ca_file: Option<PathBuf>) -> Result<CopyPlaces, Failure> {
    match (from, to) {
        (Place::File(file), Place::Url(url)) => Ok(CopyPlaces { file, url, ca_file, is_to_postgres: true }),
        (Place::Url(url), Place::File(file)) => Ok(CopyPlaces { file, url, ca_file, is_to_postgres: false }),
        (Place::File(_), Place::File(_)) => {
            Err(Failure::Usage("--from and --to are both files: copy a file with `patd backup`".to_owned()))
        }
        (Place::Url(_), Place::Url(_)) => Err(Failure::Usage(
            "--from and --to are both in PostgreSQL: copy such a database with pg_dump and pg_restore".to_owned(),
        )),
    }
}

impl From<CopyFailure> for Failure {
    fn from(failure: CopyFailure) -> Self {
        match failure {
            // The settings that the messages name do not count here.
            CopyFailure::Open(error) => {
                let message = error.to_string();
                Self::Unavailable(
                    message.replace("database.url", "the address").replace("database.ca_file", "--ca-file"),
                )
            }
            CopyFailure::Copy(error) => match error {
                CopyError::Store(_, StoreError::Internal(_)) => Self::Defect(error.to_string()),
                CopyError::Store(..) | CopyError::InUse(..) => Self::Unavailable(error.to_string()),
                CopyError::NotEmpty(_)
                | CopyError::OtherSource
                | CopyError::UnfinishedSource
                | CopyError::Differs { .. } => Self::Refused(vec![error.to_string()]),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(given: &str) -> Result<Place, Failure> {
        Place::new("--to", Some(given.to_owned()), None)
    }

    #[test]
    fn a_place_is_a_file_or_an_address_of_postgresql() {
        assert_eq!(place("a/patd.db").ok(), Some(Place::File("a/patd.db".into())));
        for url in ["postgres://a/b", "postgresql://a/b"] {
            assert_eq!(place(url).ok(), Some(Place::Url(url.to_owned())));
        }
        for wrong in ["", "mysql://a:hunter2@b/c", "Postgres://a:hunter2@b/c"] {
            let Err(Failure::Usage(message)) = place(wrong) else { panic!("{wrong:?} was taken") };
            assert!(message.starts_with("--to") && !message.contains("hunter2"), "{message}");
        }
    }

    #[test]
    fn an_address_comes_from_a_file() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("url");
        let read = || Place::new("--from", None, Some(&file));
        assert!(matches!(read(), Err(Failure::Unavailable(message)) if message.starts_with("--from-url-file: ")));
        fs::write(&file, "postgres://a:b@c/d\n").unwrap();
        assert_eq!(read().ok(), Some(Place::Url("postgres://a:b@c/d".to_owned())));
        fs::write(&file, "hunter2").unwrap();
        assert!(matches!(read(), Err(Failure::Usage(message)) if !message.contains("hunter2")));
    }

    #[test]
    fn two_databases_of_one_kind_are_copied_with_other_tools() {
        let file = || place("patd.db").unwrap();
        let url = || place("postgres://a:hunter2@b/c").unwrap();
        assert!(
            matches!(places(file(), file(), None), Err(Failure::Usage(message)) if message.contains("patd backup"))
        );
        let refused = places(url(), url(), None);
        assert!(
            matches!(refused, Err(Failure::Usage(message)) if message.contains("pg_dump") && !message.contains("hunter2"))
        );
        assert!(places(file(), url(), None).is_ok() && places(url(), file(), None).is_ok());
    }
}
