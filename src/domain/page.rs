//! How much a page of a list holds: as many items as were asked for, and no more than [`MOST_BYTES`].

/// About how many bytes the items of a page may take when they are shown. A page of larger items ends earlier.
pub const MOST_BYTES: usize = 256 * 1024;

/// What is left of a page while its items are found one by one.
#[derive(Clone, Copy, Debug, Default)]
pub struct Fill(usize);

impl Fill {
    /// Takes one more item into account; answers whether it still fits. The first always does.
    pub const fn takes(&mut self, size: usize) -> bool {
        let is_first = self.0 == 0;
        self.0 = self.0.saturating_add(size);
        is_first || self.0 <= MOST_BYTES
    }
}

/// Cuts `items` to one page of at most `limit`; answers whether there were more.
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
    fn a_page_ends_at_its_limit_or_where_it_is_full() {
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
