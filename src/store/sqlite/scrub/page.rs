//! Which bytes of a page SQLite does not use, by SQLite's "Database File Format": the gap between the cell pointers and the
//! cells, the free blocks among the cells, and free pages.
//!
//! Bytes that look unused by a page's own numbers, but not in a consistent way, are left alone: nothing here may change what
//! SQLite reads.

use std::ops::Range;

/// The first page begins with the header of the file.
const FILE_HEADER: usize = 100;
/// Where the header of the file has the number of the first trunk page of free pages.
const FIRST_TRUNK: usize = 32;
/// The header of a free block: the offset of the next block, and the block's size.
const BLOCK_HEADER: usize = 4;
/// The header of a trunk page: the number of the next trunk page, and how many free pages it lists.
const TRUNK_HEADER: usize = 8;

/// In a database with more pages, the first byte of a page does not show whether it is a page of a b-tree: overflow pages
/// and trunk pages begin with the number of a page. With pages of 4 KiB, this is 128 GiB.
pub(super) const MAX_PAGES: u32 = 0x0200_0000;

/// The unused bytes of a page of a b-tree. Empty for other pages.
pub(super) fn unused_in_tree_page(number: u32, page: &[u8]) -> Vec<Range<usize>> {
    let start = if number == 1 { FILE_HEADER } else { 0 };
    tree_page(page, start).unwrap_or_default()
}

fn tree_page(page: &[u8], start: usize) -> Option<Vec<Range<usize>>> {
    let header_length = match page.get(start)? {
        // An interior page ends its header with the number of a child.
        2 | 5 => 12,
        10 | 13 => 8,
        _ => return None,
    };
    let cells = usize::from(two_bytes(page, start + 3)?);
    // Zero stands for 65,536.
    let content = match usize::from(two_bytes(page, start + 5)?) {
        0 => 1 << 16,
        content => content,
    };
    let pointers_end = start + header_length + 2 * cells;
    if pointers_end > content || content > page.len() {
        return None;
    }
    let gap = pointers_end..content;
    let mut unused: Vec<Range<usize>> = std::iter::once(gap).collect();
    let mut block = usize::from(two_bytes(page, start + 1)?);
    let mut earliest = content;
    while block != 0 {
        let size = usize::from(two_bytes(page, block + 2)?);
        let end = block + size;
        if block < earliest || size < BLOCK_HEADER || end > page.len() {
            return None;
        }
        unused.push(block + BLOCK_HEADER..end);
        earliest = end;
        block = usize::from(two_bytes(page, block)?);
    }
    Some(unused)
}

/// The number of the first trunk page, from the first page of the file. Zero if there are no free pages.
pub(super) fn first_trunk(first_page: &[u8]) -> u32 {
    four_bytes(first_page, FIRST_TRUNK).unwrap_or(0)
}

/// A page that lists free pages.
pub(super) struct Trunk {
    /// The number of the next one. Zero at the end.
    pub(super) next: u32,
    /// The free pages that it lists.
    pub(super) leaves: Vec<u32>,
    /// Its unused bytes.
    pub(super) unused: Range<usize>,
}

impl Trunk {
    /// `None` if the page cannot be one.
    pub(super) fn parse(page: &[u8]) -> Option<Self> {
        let next = four_bytes(page, 0)?;
        let count = usize::try_from(four_bytes(page, 4)?).ok()?;
        let end = count.checked_mul(4)?.checked_add(TRUNK_HEADER)?;
        let list = page.get(TRUNK_HEADER..end)?;
        let leaves = list.chunks_exact(4).filter_map(|bytes| four_bytes(bytes, 0)).collect();
        Some(Self { next, leaves, unused: end..page.len() })
    }
}

/// Whether all these bytes are zero.
pub(super) fn is_clean(page: &[u8], unused: &[Range<usize>]) -> bool {
    unused.iter().all(|range| page[range.clone()].iter().all(|byte| *byte == 0))
}

fn two_bytes(page: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(*page.get(at..)?.first_chunk()?))
}

fn four_bytes(page: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(*page.get(at..)?.first_chunk()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A leaf with two cells, a gap from 12 to 20, and a free block from 24 to 30.
    fn leaf() -> [u8; 32] {
        let mut page = [7; 32];
        page[..12].copy_from_slice(&[13, 0, 24, 0, 2, 0, 20, 0, 0, 20, 0, 30]);
        page[24..28].copy_from_slice(&[0, 0, 0, 6]);
        page
    }

    #[test]
    fn the_gap_and_the_free_blocks_of_a_page_are_unused() {
        assert_eq!(unused_in_tree_page(2, &leaf()), [12..20, 28..30]);
        assert!(!is_clean(&leaf(), &[12..20, 28..30]));
        assert!(is_clean(&[0; 32], &[12..20, 28..30]));
    }

    #[test]
    fn the_first_page_begins_behind_the_header_of_the_file() {
        let mut page = vec![0; FILE_HEADER];
        page.extend([5, 0, 0, 0, 1, 0, 120, 0, 0, 0, 0, 2, 0, 120, 9, 9, 9, 9, 9, 9, 1, 1]);
        let unused = unused_in_tree_page(1, &page);
        assert_eq!((unused.len(), &unused[0]), (1, &(114..120)));
        assert!(unused_in_tree_page(2, &page).is_empty());
    }

    #[test]
    fn nothing_is_unused_in_a_page_whose_numbers_contradict_each_other() {
        let damaged = |at: usize, byte: u8| {
            let mut page = leaf();
            page[at] = byte;
            unused_in_tree_page(2, &page)
        };
        assert!(damaged(0, 0).is_empty(), "an overflow page");
        assert!(damaged(4, 7).is_empty(), "the pointers reach into the cells");
        assert!(damaged(6, 200).is_empty(), "the cells begin behind the page");
        assert!(damaged(2, 16).is_empty(), "a free block before the cells");
        assert!(damaged(27, 200).is_empty(), "a free block that ends behind the page");
        assert!(damaged(27, 3).is_empty(), "a free block shorter than its header");
        assert!(damaged(25, 24).is_empty(), "a free block that follows itself");
    }

    #[test]
    fn a_trunk_page_lists_free_pages() {
        let mut page = [0; 24];
        page[3] = 9;
        page[7] = 2;
        page[11] = 5;
        page[15] = 6;
        let trunk = Trunk::parse(&page).unwrap();
        assert_eq!((trunk.next, trunk.leaves, trunk.unused), (9, vec![5, 6], 16..24));
        page[7] = 5;
        assert!(Trunk::parse(&page).is_none(), "more pages than fit");
    }
}
