//! The stream of a connection as the framework reads and writes it: no more is read than the server can take just now, and
//! what happens is noted.
//!
//! The framework parses whatever has come, and keeps it: of a client that sends request after request hundreds of parsed
//! requests, each of which takes 7 KB. One header name of 64 KiB makes it panic. So bytes are handed to it in small steps,
//! none while an answer is on its way, and a head that exceeds the limit is refused here.

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

/// What the framework is given before it must look at it. Few heads are longer.
const STEP: usize = 4 * 1024;
/// How many requests may end in one step. A client that waits for its answers sends one.
const PIPELINED: usize = 8;

/// Where a stream leaves its socket when the framework drops it.
pub(super) type Remains = Rc<Cell<Option<Left>>>;

/// What is left of a stream.
pub(super) struct Left {
    pub(super) socket: TcpStream,
    /// Whether the head of a request exceeded the limit, and nothing has been answered to that.
    pub(super) is_refused: bool,
    /// Whether the client does not read.
    pub(super) is_stalled: bool,
}

pub(super) struct Stream {
    /// `None` only while it is dropped.
    socket: Option<TcpStream>,
    pub(super) connection: Arc<Connection>,
    remains: Remains,
    limit: usize,
    /// The turn in which the last bytes were read, and how many were since it began.
    turn: u64,
    since_turn: usize,
    /// How many bytes were read since the framework last looked at them.
    step: usize,
    /// What was read and is handed on in a later step.
    kept: BytesMut,
    fragments: FragmentSearch,
    /// Whether the rest of a body that nobody wants may still come, to be thrown away.
    is_discarding: bool,
    /// Whether the head exceeds the limit; nothing more is read and nothing of the framework's is written then.
    is_refused: bool,
}

impl Stream {
    /// The stream of `socket` whose heads may have so many bytes. Its socket is left in `remains`.
    pub(super) fn new(socket: TcpStream, connection: Arc<Connection>, limit: usize, remains: Remains) -> Self {
        Self {
            socket: Some(socket),
            connection,
            remains,
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

    fn note_turn(&mut self) {
        let turn = self.connection.turns();
        if turn != self.turn {
            (self.turn, self.since_turn) = (turn, 0);
            self.is_discarding = !self.connection.is_under_way() && self.connection.body_due() > 0;
        }
    }

    /// Takes back what exceeds one step; answers how many bytes are left to hand on.
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
        // So that it is looked at before more is handed on.
        self.step += STEP;
        count
    }

    /// Reads nothing, and wakes the task when it is the client's turn again, or the connection breaks.
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

/// How many blank lines there are: so many requests without a body end here at the most. Without a way out in the middle,
/// many bytes are looked at in one step.
fn blank_lines(bytes: &[u8]) -> usize {
    // So few that they are counted in a byte.
    const AT_ONCE: usize = 128;
    let behind = bytes.get(1..).unwrap_or_default();
    let pairs = bytes.chunks(AT_ONCE).zip(behind.chunks(AT_ONCE));
    let ends =
        |(one, next): (&u8, &u8)| u8::from(*one == b'\n') & (u8::from(*next == b'\n') | u8::from(*next == b'\r'));
    pairs.map(|(these, next)| usize::from(these.iter().zip(next).map(ends).sum::<u8>())).sum()
}

/// Where the blank line of that number ends, of which there is one.
fn end_of_blank_line(bytes: &[u8], number: usize) -> usize {
    let is_blank = |at: &usize| bytes[*at] == b'\n' && matches!(bytes.get(at + 1), Some(b'\n' | b'\r'));
    let found = (0..bytes.len()).filter(is_blank).nth(number - 1);
    found.map_or(bytes.len(), |at| (at + if bytes[at + 1] == b'\r' { 3 } else { 2 }).min(bytes.len()))
}

impl Drop for Stream {
    fn drop(&mut self) {
        let (is_refused, is_stalled) = (self.is_refused, self.connection.is_stalled());
        self.remains.set(self.socket.take().map(|socket| Left { socket, is_refused, is_stalled }));
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
        this.note_turn();
        if this.connection.is_servers_turn(this.since_turn) || this.connection.is_stalled() {
            return this.hold(cx);
        }
        let is_over = this.since_turn >= this.limit && !this.connection.is_under_way() && !this.is_discarding;
        if is_over && this.step == 0 {
            this.is_refused = true;
            return Poll::Ready(Ok(()));
        }
        if is_over || this.step >= STEP {
            // First it must look at what it has: the head may be complete.
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
                this.connection.hand_on(count, is_first);
                this.since_turn += count;
                this.step += count;
            }
            Poll::Pending => {
                this.step = 0;
                this.connection.is_served_by(cx.waker());
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
            this.connection.stall();
            this.connection.is_served_by(cx.waker());
        }
        written
    }

    /// Called when everything was written.
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.connection.is_stalled() {
            this.connection.stall();
            this.connection.go_on();
        }
        Pin::new(this.socket()?).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        match this.is_refused {
            // What is left to say is said to the socket that remains.
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
        for few in [&b""[..], b"\n", b"\n\r", b"x"] {
            assert!(blank_lines(few) <= 1);
        }
        assert_eq!(end_of_blank_line(b"\n\r", 1), 2);
    }
}
