//! The stream of a connection as the framework reads and writes it. It reads only as much as the server can work on
//! now, and records what happens in [`Connection`].
//!
//! The framework parses all bytes that it gets and keeps the result: for a client that sends requests without waiting
//! for answers, that is hundreds of parsed requests of 7 KB each. A header name of 64 KiB makes it panic. So it gets
//! the bytes in small steps and none while an answer is being sent, and a head that exceeds the limit is refused here.

use std::{
    cell::Cell,
    io, mem,
    pin::Pin,
    rc::Rc,
    sync::{Arc, atomic::Ordering::Relaxed},
    task::{Context, Poll},
};

use actix_web::{rt::net::TcpStream, web::BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{connection::Connection, fragment::FragmentSearch};

/// How many bytes the framework gets before it must parse them. Few heads are longer.
const STEP: usize = 4 * 1024;
/// How many requests may end in one step. A client that waits for each answer sends one.
const PIPELINED: usize = 8;

/// Receives the socket of a stream when the framework drops the stream.
pub(super) type RemainderSlot = Rc<Cell<Option<Remainder>>>;

/// What remains of a dropped stream.
pub(super) struct Remainder {
    pub(super) socket: TcpStream,
    /// Whether the head of a request exceeded the limit. It has not been answered.
    pub(super) is_refused: bool,
    /// Whether the client has stopped reading.
    pub(super) is_stalled: bool,
}

pub(super) struct Stream {
    /// `None` only while the stream is dropped.
    socket: Option<TcpStream>,
    pub(super) connection: Arc<Connection>,
    slot: RemainderSlot,
    limit: usize,
    /// The turn in which the last bytes were read.
    turn: u64,
    /// How many bytes were read since that turn began.
    since_turn: usize,
    /// How many bytes were read since the framework last parsed.
    step: usize,
    /// Bytes that were read and are passed on in a later step.
    kept: BytesMut,
    fragments: FragmentSearch,
    /// Whether the rest of an unread body may still arrive. It is discarded.
    is_discarding: bool,
    /// Whether the head exceeds the limit. Then nothing more is read, and nothing that the framework writes is sent.
    is_refused: bool,
}

impl Stream {
    /// The stream of `socket`. Heads of more than `limit` bytes are refused. `slot` gets the socket when this is
    /// dropped.
    pub(super) fn new(socket: TcpStream, connection: Arc<Connection>, limit: usize, slot: RemainderSlot) -> Self {
        Self {
            socket: Some(socket),
            connection,
            slot,
            limit,
            turn: 0,
            since_turn: 0,
            step: 0,
            kept: BytesMut::new(),
            fragments: FragmentSearch::default(),
            is_discarding: false,
            is_refused: false,
        }
    }

    fn socket(&mut self) -> io::Result<&mut TcpStream> {
        self.socket.as_mut().ok_or_else(|| io::ErrorKind::NotConnected.into())
    }

    fn update_turn(&mut self) {
        let turn = self.connection.turns();
        if turn != self.turn {
            (self.turn, self.since_turn) = (turn, 0);
            self.is_discarding = !self.connection.is_under_way() && self.connection.body_due() > 0;
        }
    }

    /// Keeps what exceeds one step for later. Returns how many bytes are passed on now.
    fn keep_excess(&mut self, buffer: &mut ReadBuf<'_>, before: usize) -> usize {
        let read = &buffer.filled()[before..];
        let is_body = self.connection.is_under_way() && self.since_turn + read.len() <= self.connection.body_due();
        if is_body || blank_lines(read) <= PIPELINED {
            return read.len();
        }
        let count = end_of_blank_line(read, PIPELINED);
        let mut kept = BytesMut::from(&read[count..]);
        kept.unsplit(mem::take(&mut self.kept));
        self.kept = kept;
        buffer.set_filled(before + count);
        // The framework must parse these before it gets more.
        self.step += STEP;
        count
    }

    /// Reads nothing. The task is woken when the client may send again, or when the connection breaks.
    fn hold(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let is_readable = match self.socket()?.poll_read_ready(cx) {
            Poll::Ready(readable) => readable.map(|()| true)?,
            Poll::Pending => !self.kept.is_empty(),
        };
        if is_readable {
            self.connection.is_held.store(true, Relaxed);
        }
        Poll::Pending
    }
}

/// The number of blank lines, which is the most requests without a body that can end here. The loop has no early exit,
/// so that it is vectorised.
fn blank_lines(bytes: &[u8]) -> usize {
    // Each piece is short enough for its count to fit into a byte.
    const AT_ONCE: usize = 240;
    let behind = bytes.get(1..).unwrap_or_default();
    let pairs = bytes.chunks(AT_ONCE).zip(behind.chunks(AT_ONCE));
    let ends =
        |(one, next): (&u8, &u8)| u8::from(*one == b'\n') & (u8::from(*next == b'\n') | u8::from(*next == b'\r'));
    pairs.map(|(these, next)| usize::from(these.iter().zip(next).map(ends).sum::<u8>())).sum()
}

/// Where blank line number `number`, counted from 1, ends. There must be at least that many.
fn end_of_blank_line(bytes: &[u8], number: usize) -> usize {
    let is_blank = |at: &usize| bytes[*at] == b'\n' && matches!(bytes.get(at + 1), Some(b'\n' | b'\r'));
    let found = (0..bytes.len()).filter(is_blank).nth(number - 1);
    found.map_or(bytes.len(), |at| (at + if bytes[at + 1] == b'\r' { 3 } else { 2 }).min(bytes.len()))
}

impl Drop for Stream {
    fn drop(&mut self) {
        let (is_refused, is_stalled) = (self.is_refused, self.connection.is_stalled());
        self.slot.set(self.socket.take().map(|socket| Remainder { socket, is_refused, is_stalled }));
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.connection.must_close() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        if this.is_refused {
            return Poll::Ready(Ok(()));
        }
        this.update_turn();
        if this.connection.is_servers_turn(this.since_turn) || this.connection.is_stalled() {
            return this.hold(cx);
        }
        let is_over = this.since_turn >= this.limit && !this.connection.is_under_way() && !this.is_discarding;
        if is_over && this.step == 0 {
            this.is_refused = true;
            return Poll::Ready(Ok(()));
        }
        if is_over || this.step >= STEP {
            // The framework must first parse what it has: the head may be complete.
            this.step = 0;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let before = buffer.filled().len();
        let read = match this.kept.is_empty() {
            true => Pin::new(this.socket()?).poll_read(cx, buffer),
            false => {
                let count = this.kept.len().min(buffer.remaining());
                buffer.put_slice(&this.kept.split_to(count));
                Poll::Ready(Ok(()))
            }
        };
        match read {
            Poll::Ready(Ok(())) => {
                let is_first = this.step == 0;
                let count = this.keep_excess(buffer, before);
                if this.fragments.finds(&buffer.filled()[before..]) {
                    this.connection.has_fragment.store(true, Relaxed);
                }
                this.connection.add_read(count, is_first);
                this.since_turn += count;
                this.step += count;
            }
            Poll::Pending => {
                this.step = 0;
                this.connection.set_waker(cx.waker());
            }
            Poll::Ready(Err(_)) => {}
        }
        read
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.is_refused {
            return Poll::Ready(Ok(bytes.len()));
        }
        if this.connection.must_close_writing() {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        let written = Pin::new(this.socket()?).poll_write(cx, bytes);
        if written.is_pending() && !this.connection.is_stalled() {
            this.connection.toggle_stall();
            this.connection.set_waker(cx.waker());
        }
        written
    }

    /// The framework calls this when everything was written.
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.connection.is_stalled() {
            this.connection.toggle_stall();
            this.connection.resume();
        }
        Pin::new(this.socket()?).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        match this.is_refused {
            // The answer is written to the socket that remains.
            true => Poll::Ready(Ok(())),
            false => Pin::new(this.socket()?).poll_shutdown(cx),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blank_lines_are_counted_and_found_with_and_without_carriage_returns() {
        let head = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";
        assert_eq!(blank_lines(head), 1);
        assert_eq!(blank_lines(&head.repeat(100)), 100);
        assert_eq!(end_of_blank_line(&head.repeat(100), 8), 8 * head.len());
        let bare = b"GET / HTTP/1.0\n\n";
        assert_eq!(blank_lines(&bare.repeat(1000)), 1000);
        assert_eq!(end_of_blank_line(&bare.repeat(1000), 8), 8 * bare.len());
        assert_eq!(blank_lines(b"{\n  \"name\": \"t\"\n}\n"), 0);
        for text in [&b""[..], b"\n", b"\n\r", b"x"] {
            assert!(blank_lines(text) <= 1);
        }
        assert_eq!(end_of_blank_line(b"\n\r", 1), 2);
    }
}
