//! Text in lines of a limited width.

use unicode_width::UnicodeWidthStr;

/// The width of a line.
const WIDTH: usize = 80;

/// `heading` and the words behind it, in as many lines as needed. All lines but the first begin with as many spaces as
/// `heading` has columns. A longer word has a line of its own.
pub(super) fn wrapped<'w>(heading: &str, words: impl IntoIterator<Item = &'w str>) -> Vec<String> {
    let indent = heading.width();
    let mut lines = vec![heading.to_owned()];
    for word in words {
        let line = lines.last_mut().expect("there is at least one line");
        let is_empty = line.width() == indent;
        if !is_empty && line.width() + 1 + word.width() > WIDTH {
            lines.push(" ".repeat(indent) + word);
        } else {
            line.push_str(if is_empty { "" } else { " " });
            line.push_str(word);
        }
    }
    for line in &mut lines {
        line.truncate(line.trim_end().len());
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_wrapped_behind_their_heading() {
        let words = ["abcdefghi"; 9];
        let lines = wrapped("unused   ", words);
        assert_eq!(lines, [format!("unused   {}", words[..7].join(" ")), format!("         {}", words[..2].join(" "))]);
        assert!(lines.iter().all(|line| line.width() <= WIDTH));
        let long = "x".repeat(100);
        assert_eq!(wrapped("a ", ["b", &long, "c"]), ["a b".to_owned(), format!("  {long}"), "  c".to_owned()]);
        assert_eq!(wrapped("none  ", []), ["none"]);
    }
}
