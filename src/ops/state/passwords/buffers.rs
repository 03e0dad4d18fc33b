//! Memory for argon2: buffers that are allocated at first use and then kept.
//!
//! Allocating and freeing a buffer for each hash would fragment the heap and could fail while the server runs. There are
//! never more buffers than simultaneous hashes. A buffer has the size of the largest hash that used it:
//! `passwords.memory_kib`, or the memory of a stored hash if that is more.

use std::sync::{Mutex, MutexGuard, PoisonError};

use argon2::Block;

/// The allocation of a buffer failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct OutOfMemory;

/// The buffers that are not in use.
#[derive(Default)]
pub(super) struct BufferPool(Mutex<Vec<Vec<Block>>>);

impl BufferPool {
    /// Runs `work` with a buffer of at least `blocks` KiB. Its content is arbitrary.
    pub(super) fn with<T>(&self, blocks: usize, work: impl FnOnce(&mut [Block]) -> T) -> Result<T, OutOfMemory> {
        let mut borrowed = BorrowedBuffer { buffer: self.take(blocks), pool: self };
        grow(&mut borrowed.buffer, blocks)?;
        Ok(work(&mut borrowed.buffer))
    }

    /// The smallest buffer that is large enough, or else the largest, which the caller replaces by a larger one.
    fn take(&self, blocks: usize) -> Vec<Block> {
        let mut idle = self.idle();
        let sizes = || idle.iter().map(Vec::len).enumerate();
        let fitting = sizes().filter(|(_, size)| *size >= blocks).min_by_key(|(_, size)| *size);
        let best = fitting.or_else(|| sizes().max_by_key(|(_, size)| *size)).map(|(at, _)| at);
        best.map_or_else(Vec::new, |at| idle.swap_remove(at))
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Vec<Block>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A buffer in use. It returns to the pool even if the work panics.
struct BorrowedBuffer<'m> {
    buffer: Vec<Block>,
    pool: &'m BufferPool,
}

impl Drop for BorrowedBuffer<'_> {
    fn drop(&mut self) {
        let buffer = std::mem::take(&mut self.buffer);
        if !buffer.is_empty() {
            self.pool.idle().push(buffer);
        }
    }
}

fn grow(buffer: &mut Vec<Block>, blocks: usize) -> Result<(), OutOfMemory> {
    if buffer.len() < blocks {
        // The old buffer is freed first, so that both are never allocated at once.
        *buffer = Vec::new();
        buffer.try_reserve_exact(blocks).map_err(|_| OutOfMemory)?;
        buffer.resize(blocks, Block::new());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes(pool: &BufferPool) -> Vec<usize> {
        let mut sizes: Vec<usize> = pool.idle().iter().map(Vec::len).collect();
        sizes.sort_unstable();
        sizes
    }

    #[test]
    fn one_hash_after_another_uses_one_buffer() {
        let pool = BufferPool::default();
        let addresses: Vec<_> = (0..5).map(|_| pool.with(8, |blocks| blocks.as_ptr() as usize).unwrap()).collect();
        assert!(addresses.windows(2).all(|pair| pair[0] == pair[1]), "{addresses:?}");
        assert_eq!(sizes(&pool), [8]);
    }

    #[test]
    fn simultaneous_hashes_use_one_buffer_each_and_a_larger_one_replaces_a_smaller_one() {
        let pool = BufferPool::default();
        pool.with(8, |_| pool.with(8, |_| ())).unwrap().unwrap();
        assert_eq!(sizes(&pool), [8, 8]);
        pool.with(32, |_| ()).unwrap();
        assert_eq!(sizes(&pool), [8, 32]);
        pool.with(8, |blocks| assert_eq!(blocks.len(), 8)).unwrap();
        pool.with(16, |blocks| assert_eq!(blocks.len(), 32)).unwrap();
        assert_eq!(sizes(&pool), [8, 32]);
    }

    #[test]
    fn a_failed_allocation_is_an_error_and_loses_no_buffer() {
        let pool = BufferPool::default();
        pool.with(8, |_| ()).unwrap();
        pool.with(8, |_| assert_eq!(pool.with(usize::MAX / 2048, |_| ()), Err(OutOfMemory))).unwrap();
        assert_eq!(sizes(&pool), [8]);
    }

    #[test]
    fn a_buffer_returns_to_the_pool_after_a_panic() {
        let pool = BufferPool::default();
        let panicked =
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| pool.with(8, |_| panic!("on purpose"))));
        assert!(panicked.is_err());
        assert_eq!(sizes(&pool), [8]);
    }
}
