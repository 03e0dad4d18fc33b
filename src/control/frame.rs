//! The lines in which a request is answered: items, and at the end whether that was all.

use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use super::error::Error;

/// A line of the answer. Without the last one, the answer is not complete.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Frame<T> {
    /// A part of what was asked for.
    Item(T),
    /// It was carried out, and there are no more items.
    Done,
    /// It was not carried out.
    Failed(Error),
}

impl<T: Serialize> Frame<T> {
    /// The line, with its line break.
    pub(super) fn line(&self) -> Vec<u8> {
        // What the program itself makes can always be written as JSON: no map with keys that are no text.
        let mut line = serde_json::to_vec(self).unwrap_or_default();
        line.push(b'\n');
        line
    }
}

/// A list is handed on when it has this many bytes.
const CHUNK: usize = 16 * 1024;

/// Whoever asked has left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Left;

impl From<Left> for Error {
    fn from(_: Left) -> Self {
        Self::Unknown("whoever asked has left".to_owned())
    }
}

/// Where the answer goes. It waits while the other end is behind.
pub struct Output {
    chunk: Vec<u8>,
    chunks: mpsc::Sender<Vec<u8>>,
}

impl Output {
    /// An answer, and the end at which it comes out in pieces of any length.
    pub fn new() -> (Self, mpsc::Receiver<Vec<u8>>) {
        let (chunks, received) = mpsc::channel(2);
        (Self { chunk: Vec::new(), chunks }, received)
    }

    pub(super) async fn item(&mut self, item: &impl Serialize) -> Result<(), Left> {
        self.chunk.extend(Frame::Item(item).line());
        if self.chunk.len() >= CHUNK { self.flush().await } else { Ok(()) }
    }

    pub(super) async fn finish(mut self, outcome: Result<(), Error>) {
        let last = match outcome {
            Ok(()) => Frame::<()>::Done,
            Err(error) => Frame::Failed(error),
        };
        self.chunk.extend(last.line());
        // Nobody is left to be told that nobody is left.
        let _ = self.flush().await;
    }

    async fn flush(&mut self) -> Result<(), Left> {
        let chunk = std::mem::take(&mut self.chunk);
        self.chunks.send(chunk).await.map_err(|_| Left)
    }
}
