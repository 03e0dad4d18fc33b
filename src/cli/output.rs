//! Data on stdout, and the options for its format.

use std::io::{self, BufWriter, Write};

use clap::Args;
use serde::Serialize;

use super::failure::Failure;
use crate::control::Items;

#[derive(Clone, Copy, Debug, Args)]
pub(super) struct Format {
    /// Print JSON, one object per line
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Clone, Copy, Debug, Args)]
pub(super) struct Wide {
    /// Print all columns in full width
    #[arg(long, conflicts_with = "json")]
    pub(super) wide: bool,
}

/// Prints text and a line break.
pub(super) fn print(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    writeln!(out, "{text}").and_then(|()| out.flush()).map_err(Failure::Output)
}

/// Prints one line of JSON.
pub(super) fn print_json(data: &impl Serialize) -> Result<(), Failure> {
    let json = serde_json::to_string(data).map_err(|error| Failure::Defect(error.to_string()))?;
    print(&json)
}

/// Prints each item as one line of JSON.
pub(super) fn print_json_lines(items: Items) -> Result<(), Failure> {
    let mut out = BufWriter::new(io::stdout().lock());
    items.each_line(|line| writeln!(out, "{line}"))?;
    out.flush().map_err(Failure::Output)
}
