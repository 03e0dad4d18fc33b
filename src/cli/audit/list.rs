//! `patd audit list`.

use clap::Args;

use super::conditions::Conditions;
use crate::{
    cli::{
        failure::Failure,
        global::GlobalOptions,
        output::{self, Format, Wide},
        table::{Column, Fit, print_table},
    },
    control::{EventList, Request},
    store::Access,
    views::AdminEventView,
};

#[derive(Debug, Args)]
pub(in crate::cli) struct List {
    #[command(flatten)]
    conditions: Conditions,
    /// The most events to list
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    limit: Option<u64>,
    #[command(flatten)]
    wide: Wide,
    #[command(flatten)]
    format: Format,
}

pub(super) fn run(options: &GlobalOptions, arguments: List) -> Result<(), Failure> {
    let List { conditions, limit, wide, format } = arguments;
    let list = EventList { conditions: conditions.into(), limit, ..EventList::default() };
    let items = options.execute(Request::ListEvents(list), Access::Existing)?;
    if format.json {
        return output::print_json_lines(items);
    }
    let text = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    if wide.wide {
        let columns = [
            "SEQ",
            "AT",
            "ACTION",
            "OUTCOME",
            "ACTOR",
            "ACTOR USER",
            "TRAIL OF",
            "TARGET",
            "ADDRESS",
            "REQUEST",
            "DETAIL",
        ];
        let row = |AdminEventView { seq, user_id, event }: AdminEventView| {
            [
                seq.to_string(),
                event.at,
                event.action.into_owned(),
                event.outcome.into_owned(),
                named(&event.actor.r#type, event.actor.id.as_deref()),
                text(event.actor.user_id),
                text(user_id),
                named(&event.target.r#type, event.target.id.as_deref()),
                text(event.address),
                text(event.request_id),
                text(event.detail),
            ]
        };
        return print_table(columns.map(Column::full), Fit::Unlimited, items, row);
    }
    let columns = [
        Column::full("AT"),
        Column::shortened("ACTION"),
        Column::shortened("ACTOR"),
        Column::shortened("TARGET"),
        Column::optional("ADDRESS"),
        Column::optional("DETAIL"),
    ];
    let row = |AdminEventView { event, .. }: AdminEventView| {
        let refused = if event.outcome == "refused" { " (refused)" } else { "" };
        [
            event.at,
            format!("{}{}", event.action, if event.action.ends_with(".refused") { "" } else { refused }),
            event.actor.user_id.unwrap_or_else(|| event.actor.r#type.into_owned()),
            event.target.id.unwrap_or_else(|| event.target.r#type.into_owned()),
            event.address.unwrap_or_default(),
            event.detail.unwrap_or_default(),
        ]
    };
    print_table(columns, Fit::Terminal, items, row)
}

/// A kind and an id.
pub(super) fn named(kind: &str, id: Option<&str>) -> String {
    id.map_or_else(|| kind.to_owned(), |id| format!("{kind} {id}"))
}
