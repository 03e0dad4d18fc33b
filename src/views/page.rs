//! A page of a list.

use serde::Serialize;

/// The items of a page, and the cursor of the next one.
#[derive(Debug, Serialize)]
pub struct PageView<T> {
    data: Vec<T>,
    /// `Some(None)` is null.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<Option<String>>,
}

impl<T> PageView<T> {
    /// On the last page, `next_cursor` is null.
    pub fn new(items: impl IntoIterator<Item = T>, next_cursor: Option<String>) -> Self {
        Self { data: items.into_iter().collect(), next_cursor: Some(next_cursor) }
    }

    /// On the last page, there is no `next_cursor`.
    pub fn without_null(items: impl IntoIterator<Item = T>, next_cursor: Option<String>) -> Self {
        Self { data: items.into_iter().collect(), next_cursor: next_cursor.map(Some) }
    }
}
