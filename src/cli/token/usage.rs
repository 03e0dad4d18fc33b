//! `patd token usage`.

use std::io;

use clap::Args;

use crate::{
    cli::{
        failure::Failure,
        global::GlobalOptions,
        output::{self, Format},
        paragraph::wrapped,
        table::{self, Column},
        terminal::escaped,
    },
    control::{Items, Request, UsageItem},
    store::Access,
    views::{TokenUsageView, TotalView, TotalsView, UseView},
};

#[derive(Debug, Args)]
pub(in crate::cli) struct Usage {
    /// The id of the token, as `patd token list` shows it
    id: String,
    #[command(flatten)]
    format: Format,
}

pub(super) fn run(options: &GlobalOptions, arguments: Usage) -> Result<(), Failure> {
    let answer = options.execute(Request::ShowTokenUsage(arguments.id), Access::Existing)?;
    let usage = received(answer)?;
    if arguments.format.json {
        return output::print_json(&usage);
    }
    let mut lines = vec![format!("token      {}  {}", usage.id, escaped(&usage.name))];
    lines.extend(summary(&usage));
    lines.push(String::new());
    lines.extend(totals(&usage.totals));
    if !usage.addresses.is_empty() {
        lines.push(String::new());
        lines.extend(addresses(&usage.addresses));
    }
    output::print(&lines.join("\n"))
}

/// Puts the parts together.
fn received(mut answer: Items) -> io::Result<TokenUsageView> {
    let mut usage: Option<TokenUsageView> = None;
    answer.each(|item| {
        match (item, &mut usage) {
            (UsageItem::Summary(summary), _) => usage = Some(summary),
            (UsageItem::Day(day), Some(usage)) => usage.days.push(day),
            (UsageItem::Day(_), None) => return Err(io::ErrorKind::InvalidData.into()),
        }
        io::Result::Ok(())
    })?;
    usage.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
}

/// Since when a token is counted, and which abilities it never used.
pub(super) fn summary(usage: &TokenUsageView) -> Vec<String> {
    let Some(since) = &usage.counted_since else {
        return wrapped("counted    ", "no: usage.enabled is off".split(' '));
    };
    let mut lines = vec![format!("counted    since {since}")];
    match &usage.abilities_unused {
        None => lines.extend(wrapped(
            "unused     ",
            "not known: it used more abilities than are counted by name (usage.max_abilities)".split(' '),
        )),
        Some(unused) => {
            let count = format!("{} of {} abilities", unused.len(), usage.abilities.len());
            let count = if unused.is_empty() { count } else { format!("{count}:") };
            lines.extend(wrapped("unused     ", count.split(' ').chain(unused.iter().map(String::as_str))));
        }
    }
    lines
}

/// The table of policies and abilities, or a line that says that there is nothing.
pub(super) fn totals(totals: &TotalsView) -> Vec<String> {
    let row = |kind: &str, total: &TotalView| {
        let TotalView { name, allowed, refused, first_day, last_day } = total;
        [kind.into(), name.clone(), allowed.to_string(), refused.to_string(), first_day.clone(), last_day.clone()]
    };
    let policies = totals.policies.iter().map(|total| row("policy", total));
    let rows: Vec<[String; 6]> = policies.chain(totals.abilities.iter().map(|total| row("ability", total))).collect();
    if rows.is_empty() {
        return vec!["Nothing was counted.".to_owned()];
    }
    let columns = [
        Column::full("KIND"),
        Column::shortened("NAME"),
        Column::full("ALLOWED"),
        Column::full("REFUSED"),
        Column::full("FIRST DAY"),
        Column::full("LAST DAY"),
    ];
    table::lines(columns, &rows)
}

/// The table of addresses.
pub(super) fn addresses(addresses: &[UseView]) -> Vec<String> {
    let rows: Vec<[String; 3]> = addresses
        .iter()
        .map(|used| [used.address.clone(), used.last_used_at.clone(), used.user_agent.clone().unwrap_or_default()])
        .collect();
    table::lines([Column::full("ADDRESS"), Column::full("LAST USED"), Column::shortened("USER AGENT")], &rows)
}
