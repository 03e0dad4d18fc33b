//! `patd backup`: a copy of the database while it is in use.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use clap::Args;

use super::{
    failure::Failure,
    global::GlobalOptions,
    progress::Progress,
    terminal::{escaped, print_message},
    time::parse_duration,
};
use crate::{
    compose,
    domain::time::Timestamp,
    ops::clock::Clock,
    store::sqlite::{BackedUp, BackupError, BackupProgress},
};

#[derive(Debug, Args)]
pub(super) struct Backup {
    /// The new file, or a directory in which it gets a name with the time, such as patd-20300131T120000Z.db
    #[arg(value_name = "FILE|DIRECTORY")]
    target: PathBuf,
    /// In a directory: do nothing if there is a backup that is younger than this
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    every: Option<Duration>,
    /// In a directory: then delete the oldest backups, so that this many remain
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    keep: Option<u32>,
    /// How many MiB to copy in a second, so that the server keeps the disk
    #[arg(long, value_name = "MIB", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..))]
    rate: u32,
}

pub(super) fn run(options: &GlobalOptions, arguments: &Backup) -> Result<(), Failure> {
    let config = options.settings()?;
    if config.database.url.is_some() {
        return Err(Failure::Usage(
            "the database is in PostgreSQL (database.url): back it up with its own tools, pg_dump or pg_basebackup"
                .to_owned(),
        ));
    }
    let now = Clock::system().now();
    let directory = arguments.target.is_dir().then(|| Directory { path: arguments.target.clone() });
    let file = match &directory {
        None if arguments.every.is_some() || arguments.keep.is_some() => {
            let target = escaped(&arguments.target.display().to_string());
            return Err(Failure::Usage(format!(
                "--every and --keep need a directory that exists, and {target} is none"
            )));
        }
        None => arguments.target.clone(),
        Some(directory) => {
            directory.remove_interrupted()?;
            let latest = directory.backups()?.pop();
            if let (Some(every), Some((at, name))) = (arguments.every, latest)
                && at <= now
                && now.since(at) < every
            {
                print_message(&format!("{} is recent enough: nothing to do", escaped(&name)));
                return Ok(());
            }
            directory.path.join(file_name(now))
        }
    };
    let progress = Progress::new();
    let rate = u64::from(arguments.rate) << 20;
    let made = compose::back_up(&config, &file, rate, &mut |at| match at {
        BackupProgress::Copying { done, all } => progress.show(done, all, "copying"),
        BackupProgress::Checking => progress.show(1, 1, "checking"),
    });
    drop(progress);
    print_message(&summary(&file, &made?));
    match (directory, arguments.keep) {
        (Some(directory), Some(keep)) => directory.keep(keep),
        _ => Ok(()),
    }
}

fn summary(file: &Path, BackedUp { bytes, users, tokens, events }: &BackedUp) -> String {
    let file = escaped(&file.display().to_string());
    let mebibytes = *bytes as f64 / f64::from(1 << 20);
    format!("{file}: {mebibytes:.1} MiB, {users} users, {tokens} tokens, {events} events; it was read and is complete")
}

/// A directory of backups.
struct Directory {
    path: PathBuf,
}

impl Directory {
    /// The backups with their times, oldest first. Other files are not backups of this command.
    fn backups(&self) -> Result<Vec<(Timestamp, String)>, Failure> {
        let mut backups = self.names(".db")?;
        backups.sort();
        Ok(backups)
    }

    fn names(&self, suffix: &str) -> Result<Vec<(Timestamp, String)>, Failure> {
        let failed = |error: io::Error| self.failed("read", &error);
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.path).map_err(failed)? {
            let Ok(name) = entry.map_err(failed)?.file_name().into_string() else { continue };
            names.extend(time_of(&name, suffix).map(|at| (at, name)));
        }
        Ok(names)
    }

    /// Removes what commands left that were killed. One that a command still writes is locked.
    fn remove_interrupted(&self) -> Result<(), Failure> {
        for (_, name) in self.names(".db.partial")? {
            let path = self.path.join(name);
            let is_left = File::open(&path).is_ok_and(|file| file.try_lock().is_ok());
            if is_left {
                fs::remove_file(&path).map_err(|error| self.failed("changed", &error))?;
            }
        }
        Ok(())
    }

    fn keep(&self, count: u32) -> Result<(), Failure> {
        let backups = self.backups()?;
        let excess = backups.len().saturating_sub(count as usize);
        for (_, name) in backups.into_iter().take(excess) {
            fs::remove_file(self.path.join(&name)).map_err(|error| self.failed("changed", &error))?;
            print_message(&format!("{} was deleted (--keep {count})", escaped(&name)));
        }
        Ok(())
    }

    fn failed(&self, verb: &str, error: &io::Error) -> Failure {
        Failure::Unavailable(format!("{} cannot be {verb}: {error}", escaped(&self.path.display().to_string())))
    }
}

/// `patd-20300131T120000Z.db`
fn file_name(at: Timestamp) -> String {
    let digits: String = at.to_string().chars().filter(|char| !['-', ':'].contains(char)).collect();
    format!("patd-{digits}.db")
}

/// The time in the name of a backup.
fn time_of(name: &str, suffix: &str) -> Option<Timestamp> {
    let digits = name.strip_prefix("patd-")?.strip_suffix(suffix)?;
    let part = |from: usize, to: usize| digits.get(from..to);
    let text = format!(
        "{}-{}-{}{}:{}:{}",
        part(0, 4)?,
        part(4, 6)?,
        part(6, 8)?,
        part(8, 11)?,
        part(11, 13)?,
        part(13, digits.len())?
    );
    let at = Timestamp::parse(&text).ok()?;
    (file_name(at).strip_suffix(".db") == name.strip_suffix(suffix)).then_some(at)
}

impl From<BackupError> for Failure {
    fn from(error: BackupError) -> Self {
        match error {
            BackupError::Open(error) => compose::OpenError::from(error).into(),
            BackupError::Exists { .. } => Self::Refused(vec![error.to_string()]),
            other => Self::Unavailable(other.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_backup_holds_its_time() {
        let at = Timestamp::parse("2030-01-31T12:00:59Z").unwrap();
        assert_eq!(file_name(at), "patd-20300131T120059Z.db");
        assert_eq!(time_of("patd-20300131T120059Z.db", ".db"), Some(at));
        assert_eq!(time_of("patd-20300131T120059Z.db.partial", ".db.partial"), Some(at));
    }

    #[test]
    fn other_files_are_not_backups() {
        for name in [
            "patd.db",
            "patd-.db",
            "patd-20301331T120059Z.db",
            "patd-20300131T120059Z.db.gz",
            "patd-é.db",
            "patd-20300131T120059+01:00.db",
            "x-20300131T120059Z.db",
        ] {
            assert_eq!(time_of(name, ".db"), None, "{name}");
        }
    }
}
