//! `patd audit export`.

use std::{
    fs::File,
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

use clap::{Args, ValueEnum};
use tempfile::NamedTempFile;

use super::{conditions::Conditions, csv};
use crate::{
    cli::{
        failure::Failure,
        global::{Database, GlobalOptions},
        progress::Progress,
        terminal::{escaped, print_message},
    },
    control::{EventConditions, EventList, Items, Request},
    store::Access,
    views::AdminEventView,
};

/// How many events are asked for at once.
const PAGE: u64 = 10_000;

#[derive(Debug, Args)]
pub(in crate::cli) struct Export {
    #[command(flatten)]
    conditions: Conditions,
    /// One JSON object a line, or comma-separated values with a header
    #[arg(long, default_value = "jsonl")]
    format: Format,
    /// The file to write [default: stdout]; it gets its name when it is complete, and replaces an older one
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// One JSON object a line
    Jsonl,
    /// Comma-separated values with a header
    Csv,
}

pub(super) fn run(options: &GlobalOptions, arguments: Export) -> Result<(), Failure> {
    let Export { conditions, format, output } = arguments;
    let (database, conditions) = (options.database()?, EventConditions::from(conditions));
    match output {
        None => write(&database, &conditions, format, &mut io::stdout().lock()).map(drop),
        Some(path) => {
            let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
            let not_written =
                |error: io::Error| Failure::Unavailable(format!("{} cannot be written: {error}", path.display()));
            // Readable by its owner only, like the database.
            let mut file = NamedTempFile::new_in(directory).map_err(not_written)?;
            let events =
                write(&database, &conditions, format, file.as_file_mut()).map_err(|failure| match failure {
                    Failure::Output(error) => not_written(error),
                    other => other,
                })?;
            file.as_file().sync_all().map_err(not_written)?;
            file.persist(&path).map_err(|error| not_written(error.error))?;
            File::open(directory).and_then(|directory| directory.sync_all()).map_err(not_written)?;
            print_message(&format!("{events} events are in {}", escaped(&path.display().to_string())));
            Ok(())
        }
    }
}

/// Writes the events that there are now, oldest first. Returns how many.
fn write(
    database: &Database,
    conditions: &EventConditions,
    format: Format,
    out: &mut impl Write,
) -> Result<u64, Failure> {
    let mut out = BufWriter::new(out);
    if format == Format::Csv {
        writeln!(out, "{}", csv::HEADER)?;
    }
    let page = |after, oldest_first, limit| {
        let list = EventList { conditions: conditions.clone(), oldest_first, after, before: None, limit: Some(limit) };
        database.execute(Request::ListEvents(list), Access::Existing)
    };
    let end = |oldest_first| -> Result<Option<i64>, Failure> {
        let mut seq = None;
        page(None, oldest_first, 1)?.each(|event: AdminEventView| {
            seq = Some(event.seq);
            io::Result::Ok(())
        })?;
        Ok(seq)
    };
    let (Some(first), Some(last)) = (end(true)?, end(false)?) else {
        out.flush()?;
        return Ok(0);
    };
    let progress = Progress::new();
    let all = last.abs_diff(first).saturating_add(1);
    let (mut after, mut events) = (first.saturating_sub(1), 0);
    while after < last {
        progress.show(after.saturating_add(1).abs_diff(first), all, &format!("{events} events"));
        let before = events;
        write_page(page(Some(after), true, PAGE)?, format, &mut out, |seq| {
            let is_wanted = seq <= last;
            after = seq;
            events += u64::from(is_wanted);
            is_wanted
        })?;
        if events == before {
            break;
        }
    }
    drop(progress);
    out.flush()?;
    Ok(events)
}

fn write_page(
    mut items: Items,
    format: Format,
    out: &mut impl Write,
    mut is_wanted: impl FnMut(i64) -> bool,
) -> Result<(), Failure> {
    items.each(|event: AdminEventView| match (is_wanted(event.seq), format) {
        (false, _) => Ok(()),
        (true, Format::Csv) => writeln!(out, "{}", csv::line(&event)).map_err(Failure::Output),
        (true, Format::Jsonl) => {
            let json = serde_json::to_string(&event).map_err(|error| Failure::Defect(error.to_string()))?;
            writeln!(out, "{json}").map_err(Failure::Output)
        }
    })
}
