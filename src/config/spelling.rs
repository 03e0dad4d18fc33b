//! Suggests the setting that was probably meant by a misspelt name.

use std::fmt::Display;

/// The end of a message that suggests a name, or nothing.
pub(super) fn hint(name: Option<impl Display>) -> String {
    name.map_or_else(String::new, |name| format!(", perhaps {name} is meant"))
}

/// The known name whose spelling is close to `written`, ignoring case, `_` and `-`.
pub(super) fn nearest<N: AsRef<str> + Ord>(written: &str, known: impl IntoIterator<Item = N>) -> Option<N> {
    let fold = |name: &str| name.to_lowercase().replace(['_', '-'], "");
    known
        .into_iter()
        .map(|name| (edits(&fold(written), &fold(name.as_ref())), name))
        .min()
        .filter(|(edits, _)| *edits <= 2)
        .map(|(_, name)| name)
}

/// The Levenshtein distance, in characters.
fn edits(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (above, left) in from.chars().zip(1..) {
        let mut diagonal = std::mem::replace(&mut row[0], left);
        for (at, letter) in to.iter().enumerate() {
            let replaced = diagonal + usize::from(*letter != above);
            diagonal = row[at + 1];
            row[at + 1] = replaced.min(diagonal + 1).min(row[at] + 1);
        }
    }
    row[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_distance_of_spellings_is_that_of_levenshtein() {
        assert_eq!(edits("", "abc"), 3);
        assert_eq!(edits("kitten", "sitting"), 3);
        assert_eq!(edits("bnid", "bind"), 2);
        assert_eq!((edits("bixnd", "bind"), edits("bnd", "bind")), (1, 1));
        assert_eq!(edits("bind", "bind"), 0);
    }
}
