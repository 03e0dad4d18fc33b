//! `patd restore`: puts a backup in the place of the database, and ends in it what has ended since.

use std::{
    ffi::OsString,
    fs::File,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    time::Duration,
};

use clap::Args;

use super::{
    confirmation::confirm,
    failure::Failure,
    global::GlobalOptions,
    terminal::{escaped, print_message},
    time::{parse_duration, rounded},
};
use crate::{
    compose::{self, BackupFile, KnownLast, RestoreFailure},
    domain::{
        replay::{self, Replay, TrailEvent},
        time::Timestamp,
    },
    ops::clock::Clock,
    store::{Restored, Restoring},
    views::AdminEventView,
};

#[derive(Debug, Args)]
pub(super) struct Restore {
    /// The backup to put in the place of the database; without it, the database stays and only the options below count
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    /// Replace the database that is there, and keep it under another name
    #[arg(long, requires = "file")]
    replace: bool,
    /// A trail from `patd audit export`: what it says has ended after the backup ends again
    #[arg(long, value_name = "AUDIT.jsonl")]
    replay: Option<PathBuf>,
    /// End all sessions, so that everybody signs in again
    #[arg(long)]
    end_sessions: bool,
    /// Let every token expire in this time, unless it expires before
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    expire_in: Option<Duration>,
    /// Do not ask for confirmation
    #[arg(long, short)]
    yes: bool,
}

pub(super) fn run(options: &GlobalOptions, arguments: &Restore) -> Result<(), Failure> {
    let config = options.settings()?;
    let ends_something = arguments.replay.is_some() || arguments.end_sessions || arguments.expire_in.is_some();
    match &arguments.file {
        Some(_) if config.database.url.is_some() => {
            return Err(Failure::Usage(
                "the database is in PostgreSQL (database.url): restore it with its own tools, pg_restore for example. Then \
                 run this command without a file, with --replay"
                    .to_owned(),
            ));
        }
        None if !ends_something => {
            return Err(Failure::Usage(
                "name the backup, or what to end in the database as it is: --replay, --end-sessions, --expire-in"
                    .to_owned(),
            ));
        }
        _ => {}
    }
    let path = &config.database.path;
    let kept = arguments.replace.then(|| name_to_keep(path, Clock::system().now()));
    let backup = arguments.file.clone().map(|file| BackupFile { file, kept: kept.clone() });
    let mut repeated = None;
    let restored = compose::restore(&config, backup.as_ref(), |known| {
        print_message(&age(&known));
        let tokens_end_at = arguments.expire_in.map(|after| known.now.plus(after));
        let replay = match &arguments.replay {
            Some(file) => Some(read_trail(file, &known)?),
            None => None,
        };
        if !ends_something && !arguments.yes {
            confirm(
                "What was revoked, disabled or deleted after that would be valid again; --replay ends it again, and \
                 --end-sessions and --expire-in limit it. Restore the backup as it is?",
            )?;
        }
        repeated = replay.as_ref().map(|(replay, _)| (replay.events, replay.other_owners));
        Ok(Restoring { replay, end_sessions: arguments.end_sessions, tokens_end_at })
    })?;
    report(&restored, repeated);
    if let Some(kept) = &kept {
        print_message(&format!("the database that was replaced is in {}", escaped(&kept.display().to_string())));
    }
    if backup.is_some() {
        print_message(&format!("{} is restored", escaped(&path.display().to_string())));
    }
    Ok(())
}

/// `patd.db.replaced-20300131T120000Z`
fn name_to_keep(path: &Path, now: Timestamp) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(".replaced-");
    name.push(now.to_string().replace(['-', ':'], ""));
    name.into()
}

fn age(known: &KnownLast) -> String {
    match (&known.event, known.time) {
        (Some(event), _) => {
            let (seq, at) = (event.seq, event.at);
            format!("the last event is number {seq}, of {at}, {} ago", rounded(known.now.since(at)))
        }
        (None, Some(time)) => {
            format!("there is no event; the latest time is {time}, {} ago", rounded(known.now.since(time)))
        }
        (None, None) => "there is no event, and no time is known".to_owned(),
    }
}

fn read_trail(file: &Path, known: &KnownLast) -> Result<(Replay, i64), Failure> {
    let shown = escaped(&file.display().to_string());
    let reader = File::open(file).map_err(|error| Failure::Unavailable(format!("{shown} cannot be read: {error}")))?;
    let lines = BufReader::new(reader).lines().enumerate();
    let events = lines.filter(|(_, line)| !matches!(line, Ok(line) if line.trim().is_empty())).map(|(number, line)| {
        let wrong = |why: String| format!("line {}: {why}", number + 1);
        let line = line.map_err(|error| wrong(error.to_string()))?;
        let event: AdminEventView = serde_json::from_str(&line)
            .map_err(|error| wrong(format!("not an event of `patd audit export --format jsonl`: {error}")))?;
        TrailEvent::try_from(&event).map_err(|error| wrong(error.to_string()))
    });
    replay::read(events, known.event.as_ref(), known.without_gaps)
        .map_err(|error| Failure::Refused(vec![format!("{shown}: {error}; nothing was changed")]))
}

fn report(restored: &Restored, repeated: Option<(u64, u64)>) {
    if let Some((events, other_owners)) = repeated {
        print_message(&format!("{events} events of the trail come after the last one"));
        if other_owners > 0 {
            print_message(&format!(
                "{other_owners} tokens or environments got another owner in them; they have the earlier one again: see \
                 token.handed_over and environment.transferred in the trail"
            ));
        }
    }
    for (action, count) in &restored.changes {
        print_message(&format!("ended again: {action} {count}"));
    }
    if restored.expiring > 0 {
        print_message(&format!("{} tokens got an earlier expiry", restored.expiring));
    }
}

impl From<RestoreFailure<Self>> for Failure {
    fn from(failure: RestoreFailure<Self>) -> Self {
        match failure {
            RestoreFailure::File(error) => error.into(),
            RestoreFailure::Postgres(error) => compose::OpenError::from(error).into(),
            RestoreFailure::Store(error) => crate::ops::Error::from(error).into(),
            RestoreFailure::InUse(node) => Self::Unavailable(format!(
                "the database is in use by the node {}: stop all nodes first",
                escaped(&node)
            )),
            RestoreFailure::Clock { now, latest } => Self::Refused(vec![format!(
                "the clock of this machine says {now}, but the database knows {latest}: correct the clock, because tokens \
                 would end at a wrong time"
            )]),
            RestoreFailure::Decision(failure) => failure,
        }
    }
}
