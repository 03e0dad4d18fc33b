//! A page of a list.

use serde::Serialize;

use crate::domain::page::Page;

/// The items of a page, and the cursor of the next one.
#[derive(Debug, Serialize)]
pub struct PageView<V> {
    data: Vec<V>,
    /// `Some(None)` is null.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<Option<String>>,
}

impl<V> PageView<V> {
    /// On the last page, `next_cursor` is null.
    pub fn new<T>(page: Page<T>, view: impl FnMut(T) -> V) -> Self {
        Self { data: page.items.into_iter().map(view).collect(), next_cursor: Some(page.next_cursor) }
    }

    /// On the last page, there is no `next_cursor`.
    pub fn without_null<T>(page: Page<T>, view: impl FnMut(T) -> V) -> Self {
        Self { data: page.items.into_iter().map(view).collect(), next_cursor: page.next_cursor.map(Some) }
    }
}
