//! The lines of an answer: items, and a last line with the outcome.

use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use super::error::Error;

/// A line of an answer. Without a last line, the answer is incomplete.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Frame<T> {
    /// An item.
    Item(T),
    /// The last line: the request has succeeded.
    Done,
    /// The last line: the request has failed.
    Failed(Error),
}

impl<T: Serialize> Frame<T> {
    /// The line with its line break.
    pub(super) fn line(&self) -> Vec<u8> {
        // These values can always be written as JSON: they have no maps with keys other than strings.
        let mut line = serde_json::to_vec(self).unwrap_or_default();
        line.push(b'\n');
        line
    }
}

/// The size at which a chunk is sent.
const CHUNK: usize = 16 * 1024;

/// The receiver of the answer is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Disconnected;

impl From<Disconnected> for Error {
    fn from(_: Disconnected) -> Self {
        Self::Unknown("the command has disconnected".to_owned())
    }
}

/// Takes the lines of an answer. It waits while the receiver is behind.
pub struct Output {
    chunk: Vec<u8>,
    chunks: mpsc::Sender<Vec<u8>>,
}

impl Output {
    /// An output, and the receiver of its chunks.
    pub fn new() -> (Self, mpsc::Receiver<Vec<u8>>) {
        let (chunks, received) = mpsc::channel(2);
        (Self { chunk: Vec::new(), chunks }, received)
    }

    pub(super) async fn item(&mut self, item: &impl Serialize) -> Result<(), Disconnected> {
        self.chunk.extend(Frame::Item(item).line());
        if self.chunk.len() >= CHUNK { self.flush().await } else { Ok(()) }
    }

    pub(super) async fn finish(mut self, outcome: Result<(), Error>) {
        let last = match outcome {
            Ok(()) => Frame::<()>::Done,
            Err(error) => Frame::Failed(error),
        };
        self.chunk.extend(last.line());
        // If the receiver is gone, nothing is left to do.
        let _ = self.flush().await;
    }

    /// Sends what there is.
    pub(super) async fn flush(&mut self) -> Result<(), Disconnected> {
        let chunk = std::mem::take(&mut self.chunk);
        self.chunks.send(chunk).await.map_err(|_| Disconnected)
    }
}
