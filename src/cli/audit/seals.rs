//! `patd audit seal` and `patd audit verify`.

use std::io;

use clap::Args;

use crate::{
    cli::{
        failure::Failure,
        global::GlobalOptions,
        output::{self, Format},
        table::print_pairs,
        terminal::print_message,
    },
    control::{FaultyView, PruningView, Request, SealView, VerificationView},
    domain::seal::SealReference,
    store::Access,
};

#[derive(Debug, Args)]
pub(in crate::cli) struct Verify {
    /// A seal that was written down, as `patd audit seal` prints it: it must be in the database, unchanged
    #[arg(long, value_name = "SEAL")]
    expect: Option<String>,
    #[command(flatten)]
    format: Format,
}

pub(super) fn seal(options: &GlobalOptions, format: Format) -> Result<(), Failure> {
    let mut latest: Option<SealView> = None;
    options.execute(Request::SealEvents, Access::Existing)?.each(|seal| {
        latest = Some(seal);
        io::Result::Ok(())
    })?;
    let Some(seal) = latest else {
        print_message("there are no events to seal");
        return Ok(());
    };
    if format.json {
        return output::print_json(&seal);
    }
    print_pairs(&[
        ("seal", &seal.seal),
        ("number", &seal.number.to_string()),
        ("last event", &seal.last_event.to_string()),
        ("sealed", &seal.sealed_at),
    ])
}

pub(super) fn verify(options: &GlobalOptions, arguments: Verify) -> Result<(), Failure> {
    let Verify { expect, format } = arguments;
    let expected = expect
        .map(|text| SealReference::parse(&text))
        .transpose()
        .map_err(|error| Failure::Usage(format!("--expect {error}")))?;
    let request = Request::VerifySeals { expected: expected.map(|seal| seal.to_string()) };
    let mut found = VerificationView::default();
    options.execute(request, Access::Existing)?.each(|view| {
        found = view;
        io::Result::Ok(())
    })?;
    let mut faults: Vec<String> = found.faulty.iter().map(describe).collect();
    if let (Some(expected), Some(outcome @ ("missing" | "differs"))) = (expected, found.expected.as_deref()) {
        let number = expected.number;
        faults.push(match outcome {
            "missing" => format!("seal {number}, which you expect, is missing: the end of the trail was cut off, or the file is an older copy"),
            _ => format!("seal {number} is not the one that you expect: the trail up to it was replaced"),
        });
    }
    match format.json {
        true => output::print_json(&found)?,
        false => output::print(&summary(&found))?,
    }
    if faults.is_empty() { Ok(()) } else { Err(Failure::Tampered(faults)) }
}

fn describe(faulty: &FaultyView) -> String {
    let FaultyView { seal: SealView { number, first_event, last_event, .. }, faults } = faulty;
    format!("seal {number}, events {first_event} to {last_event}: {}", faults.join("; "))
}

fn summary(found: &VerificationView) -> String {
    let mut lines = Vec::new();
    match &found.latest {
        None => lines.push("no seals yet".to_owned()),
        Some(latest) => {
            let intact = if found.intact { "intact" } else { "NOT INTACT" };
            lines.push(format!(
                "{intact}: {} seals over {} events, up to event {} of {}",
                found.seals, found.events, latest.last_event, latest.sealed_at
            ));
            lines.push(format!("latest seal: {}", latest.seal));
        }
    }
    for PruningView { seal, latest_event_at } in &found.prunings {
        lines.push(format!(
            "pruned: {} events, numbers {} to {}, the latest of {latest_event_at}, on {} (seal {})",
            seal.events, seal.first_event, seal.last_event, seal.sealed_at, seal.number
        ));
    }
    if found.unsealed > 0 {
        lines.push(format!("not sealed yet: {} events; `patd audit seal` seals them", found.unsealed));
    }
    lines.join("\n")
}
