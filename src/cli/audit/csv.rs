//! Events as lines of CSV (RFC 4180), safe to open with a spreadsheet.

use crate::views::AdminEventView;

/// The names of the columns.
pub(super) const HEADER: &str = "seq,at,action,outcome,actor_type,actor_id,actor_user_id,user_id,target_type,target_id,\
                                 address,request_id,detail,id";

/// The line of an event, without a line break.
pub(super) fn line(event: &AdminEventView) -> String {
    let AdminEventView { seq, user_id, event } = event;
    let seq = seq.to_string();
    let optional = |text: &'_ Option<String>| text.clone().unwrap_or_default();
    let cells = [
        seq,
        event.at.clone(),
        event.action.to_string(),
        event.outcome.to_string(),
        event.actor.r#type.to_string(),
        optional(&event.actor.id),
        optional(&event.actor.user_id),
        optional(user_id),
        event.target.r#type.to_string(),
        optional(&event.target.id),
        optional(&event.address),
        optional(&event.request_id),
        optional(&event.detail),
        event.id.clone(),
    ];
    cells.map(|text| cell(&text)).join(",")
}

/// A cell. Spreadsheets execute a cell that begins like a formula, also if it is quoted.
fn cell(text: &str) -> String {
    let is_formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let defused = if is_formula { format!("'{text}") } else { text.to_owned() };
    match defused.contains(['"', ',', '\n', '\r']) {
        true => format!("\"{}\"", defused.replace('"', "\"\"")),
        false => defused,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_quoted_if_it_must_be_and_never_a_formula() {
        for (text, expected) in [
            ("", ""),
            ("token.created", "token.created"),
            ("a, b", "\"a, b\""),
            ("say \"hi\"", "\"say \"\"hi\"\"\""),
            ("two\nlines", "\"two\nlines\""),
            ("=HYPERLINK(\"x\")", "\"'=HYPERLINK(\"\"x\"\")\""),
            ("+1", "'+1"),
            ("-1", "'-1"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("\t=1", "'\t=1"),
            ("\r=1", "\"'\r=1\""),
            ("a=1", "a=1"),
        ] {
            assert_eq!(cell(text), expected, "{text:?}");
        }
    }
}
