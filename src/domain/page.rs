//! Pages of lists. A page has at most the requested number of items, and about [`MOST_BYTES`] bytes.

/// Which page of a list to read.
#[derive(Clone, Debug)]
pub struct PageRequest {
    /// The cursor of the previous page.
    pub cursor: Option<String>,
    /// The most items of the page.
    pub limit: u32,
}

/// One page of a list.
#[derive(Clone, Debug)]
pub struct Page<T> {
    /// The items, newest first.
    pub items: Vec<T>,
    /// The cursor for the next page. `None` on the last page.
    pub next_cursor: Option<String>,
}

/// About how many bytes the items of a page may take in an answer. Larger items make a page shorter.
pub const MOST_BYTES: usize = 256 * 1024;

/// Counts the bytes of a page while its items are collected.
#[derive(Clone, Copy, Debug, Default)]
pub struct Fill(usize);

impl Fill {
    /// Adds an item and returns whether it fits. The first item always does.
    pub const fn takes(&mut self, size: usize) -> bool {
        let is_first = self.0 == 0;
        self.0 = self.0.saturating_add(size);
        is_first || self.0 <= MOST_BYTES
    }
}

/// Cuts `items` to one page of at most `limit` items. Returns whether there were more.
pub fn cut<T>(items: &mut Vec<T>, limit: usize, size: impl Fn(&T) -> usize) -> bool {
    let mut fill = Fill::default();
    let fitting = items.iter().take(limit).take_while(|item| fill.takes(size(item))).count();
    let has_more = items.len() > fitting;
    items.truncate(fitting);
    has_more
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_ends_at_its_limit_or_when_it_is_full() {
        let cut_at = |limit, size: usize| {
            let mut items: Vec<usize> = (0..10).collect();
            (cut(&mut items, limit, |_| size), items.len())
        };
        assert_eq!(cut_at(10, 1), (false, 10));
        assert_eq!(cut_at(3, 1), (true, 3));
        assert_eq!(cut_at(10, MOST_BYTES / 4), (true, 4));
        assert_eq!(cut_at(10, MOST_BYTES + 1), (true, 1), "one item is a page, however large");
    }
}
