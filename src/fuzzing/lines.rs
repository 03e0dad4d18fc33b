//! Inputs with several parts, one on each line.

/// The text up to the next end of a line. The rest stays in `input`.
pub(super) fn line<'d>(input: &mut &'d str) -> &'d str {
    let (line, rest) = input.split_once('\n').unwrap_or((*input, ""));
    *input = rest;
    line
}
