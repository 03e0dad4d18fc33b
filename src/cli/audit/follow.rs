//! `patd audit follow`.

use std::{
    cell::Cell,
    io::{self, Write},
    time::Duration,
};

use clap::Args;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tokio::{sync::mpsc, time::sleep};

use super::{conditions::Conditions, list::named};
use crate::{
    cli::{
        failure::Failure,
        global::{Database, GlobalOptions},
        output::Format,
        signals::forward_stop_signals,
        terminal::{escaped, print_message},
    },
    control::{EventConditions, EventList, Request},
    server,
    store::Access,
    views::AdminEventView,
};

/// How many events are asked for at once.
const PAGE: u64 = 1000;
/// How long to wait for new events.
const INTERVAL: Duration = Duration::from_secs(1);

#[derive(Debug, Args)]
pub(in crate::cli) struct Follow {
    /// Begin after the event with this number (`seq`); without it, begin with the oldest event
    #[arg(long, value_name = "SEQ", conflicts_with = "new")]
    after: Option<i64>,
    /// Begin with the events from now on
    #[arg(long)]
    new: bool,
    #[command(flatten)]
    conditions: Conditions,
    #[command(flatten)]
    format: Format,
}

pub(super) fn run(options: &GlobalOptions, arguments: Follow) -> Result<(), Failure> {
    let Follow { after, new, conditions, format } = arguments;
    let (database, conditions) = (options.database()?, EventConditions::from(conditions));
    server::block_on(async {
        let (stop, mut stopped) = mpsc::unbounded_channel();
        forward_stop_signals(&stop)?;
        let position = Cell::new(after);
        tokio::select! {
            ended = follow(&database, &conditions, &position, new, format) => ended,
            _ = stopped.recv() => {
                if let Some(position) = position.get() {
                    print_message(&format!("patd: go on with --after {position}"));
                }
                Ok(())
            }
        }
    })
}

/// Ends only with a failure. It waits for the database between the pages only, so an interruption never cuts a line.
async fn follow(
    database: &Database,
    conditions: &EventConditions,
    position: &Cell<Option<i64>>,
    new: bool,
    format: Format,
) -> Result<(), Failure> {
    if new || position.get().is_some() {
        let newest = newest(database).await?;
        match position.get() {
            Some(after) if newest.is_none_or(|newest| after > newest) && after > 0 => {
                return Err(Failure::Refused(vec![format!(
                    "--after {after}: the database has no event with this number yet, so it is another or an older one. \
                     Begin again without --after"
                )]));
            }
            Some(_) => {}
            None => position.set(newest),
        }
    }
    let mut is_waiting = false;
    loop {
        match next_page(database, conditions, position, format).await {
            Ok(true) => {
                is_waiting = false;
                continue;
            }
            Ok(false) => is_waiting = false,
            Err(Failure::Unavailable(why)) => {
                if !is_waiting {
                    print_message(&format!("patd: waiting for the database: {why}"));
                }
                is_waiting = true;
            }
            Err(failure) => return Err(failure),
        }
        sleep(INTERVAL).await;
        expect_reader()?;
    }
}

/// Prints the next events and moves the position behind everything that was read. Returns whether there may be more now.
///
/// Numbers are given in the order of the commits. So no event gets a number up to the newest one later, and the position
/// also moves over the events that do not meet the conditions. Otherwise each page would read all of them again.
async fn next_page(
    database: &Database,
    conditions: &EventConditions,
    position: &Cell<Option<i64>>,
    format: Format,
) -> Result<bool, Failure> {
    let Some(newest) = newest(database).await? else { return Ok(false) };
    let after = position.get();
    if after.is_some_and(|after| after >= newest) {
        return Ok(false);
    }
    let list = EventList {
        conditions: conditions.clone(),
        oldest_first: true,
        after,
        before: newest.checked_add(1),
        limit: Some(PAGE),
    };
    let mut items = database.request(Request::ListEvents(list), Access::Existing).await?;
    let (mut count, mut last) = (0, newest);
    let mut out = io::BufWriter::new(io::stdout().lock());
    items.each(|event: AdminEventView| {
        let line = line(&event, format)?;
        (count, last) = (count + 1, event.seq);
        writeln!(out, "{line}").map_err(Failure::Output)
    })?;
    out.flush()?;
    let is_full = count == PAGE;
    position.set(Some(if is_full { last } else { newest }));
    Ok(is_full)
}

async fn newest(database: &Database) -> Result<Option<i64>, Failure> {
    let list = EventList { limit: Some(1), ..EventList::default() };
    let mut newest = None;
    database.request(Request::ListEvents(list), Access::Existing).await?.each(|event: AdminEventView| {
        newest = Some(event.seq);
        io::Result::Ok(())
    })?;
    Ok(newest)
}

fn line(event: &AdminEventView, format: Format) -> Result<String, Failure> {
    if format.json {
        return serde_json::to_string(event).map_err(|error| Failure::Defect(error.to_string()));
    }
    let AdminEventView { seq, event, .. } = event;
    let actor = named(&event.actor.r#type, event.actor.user_id.as_deref().or(event.actor.id.as_deref()));
    let target = named(&event.target.r#type, event.target.id.as_deref());
    let address = event.address.as_deref().map_or_else(String::new, |address| format!(" from {address}"));
    let detail = event.detail.as_deref().map_or_else(String::new, |detail| format!(": {detail}"));
    let text = format!("{} {} {} by {actor} on {target}{address}{detail}", event.at, event.action, event.outcome);
    Ok(format!("{seq} {}", escaped(&text)))
}

/// Fails like a write if the reader of stdout is gone. Without new events, no write would notice.
fn expect_reader() -> Result<(), Failure> {
    let stdout = io::stdout();
    let mut polled = [PollFd::new(&stdout, PollFlags::empty())];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    let is_gone =
        poll(&mut polled, Some(&now)).is_ok_and(|found| found > 0) && polled[0].revents().contains(PollFlags::ERR);
    if is_gone { Err(Failure::Output(io::ErrorKind::BrokenPipe.into())) } else { Ok(()) }
}
