//! stderr, whose reader may stall. No request must wait for it, so lines are left out and counted until it reads again.

use std::{
    io::{self, Write},
    os::fd::AsFd,
    time::Duration,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
};

/// How long a line waits for a reader that is slow. After that it counts as stalled, and no line waits until it reads again.
const PATIENCE: Duration = Duration::from_millis(100);

/// A pipe that can be written to takes so many bytes without waiting (`PIPE_BUF`).
const MAX_PIECE: usize = 4096;

/// Writes lines to stderr, unless its reader stalls.
pub(super) struct Output<O = io::Stderr> {
    stream: O,
    /// Lines since the reader stalled.
    left_out: u64,
    /// Whether the reader stalled in the middle of a line.
    is_cut: bool,
    /// The line about lines that were left out.
    line_about: Box<dyn Fn(u64) -> Vec<u8> + Send>,
}

impl Output {
    pub(super) fn new(line_about: impl Fn(u64) -> Vec<u8> + Send + 'static) -> Self {
        Self::to(io::stderr(), line_about)
    }
}

impl<O: Write + AsFd> Output<O> {
    fn to(stream: O, line_about: impl Fn(u64) -> Vec<u8> + Send + 'static) -> Self {
        Self { stream, left_out: 0, is_cut: false, line_about: Box::new(line_about) }
    }

    fn write_line(&mut self, line: &[u8]) -> io::Result<()> {
        if self.left_out > 0 {
            if !self.accepts(Duration::ZERO) {
                self.left_out += 1;
                return Ok(());
            }
            let mut notice = if self.is_cut { b"\n".to_vec() } else { Vec::new() };
            notice.extend((self.line_about)(self.left_out));
            (self.left_out, self.is_cut) = (0, false);
            self.stream.write_all(&notice)?;
        }
        for (at, piece) in line.chunks(MAX_PIECE).enumerate() {
            if !self.accepts(PATIENCE) {
                (self.left_out, self.is_cut) = (1, at > 0);
                return Ok(());
            }
            self.stream.write_all(piece)?;
        }
        Ok(())
    }

    /// Whether the stream takes a piece without waiting, at the latest after this time. If its reader is gone, writing fails at
    /// once.
    fn accepts(&self, within: Duration) -> bool {
        let within = Timespec { tv_sec: 0, tv_nsec: within.subsec_nanos().into() };
        loop {
            match poll(&mut [PollFd::new(&self.stream, PollFlags::OUT)], Some(&within)) {
                Ok(ready) => return ready > 0,
                Err(Errno::INTR) => {}
                // It cannot be asked, so it is written to.
                Err(_) => return true,
            }
        }
    }
}

impl<O: Write + AsFd> Write for Output<O> {
    /// Takes a whole line.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.write_line(line).map(|()| line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::io::{PipeReader, PipeWriter, Read, pipe};

    use super::*;

    fn output() -> (Output<PipeWriter>, PipeReader) {
        let (reader, writer) = pipe().expect("a pipe");
        (Output::to(writer, |left_out| format!("{left_out} left out\n").into_bytes()), reader)
    }

    /// Writes lines until one is left out. Returns how many were written before it.
    fn fill(output: &mut Output<PipeWriter>, line: &[u8]) -> usize {
        let lines = (0..).take_while(|_| {
            output.write_all(line).expect("no error");
            output.left_out == 0
        });
        lines.count()
    }

    fn read(reader: &mut PipeReader, bytes: usize) -> String {
        let mut read = vec![0; bytes];
        reader.read_exact(&mut read).expect("read");
        String::from_utf8(read).expect("text")
    }

    #[test]
    fn lines_are_left_out_while_nobody_reads_and_counted_when_somebody_does() {
        let (mut output, mut reader) = output();
        let line = [&[b'x'; 99][..], b"\n"].concat();
        let written = fill(&mut output, &line);
        assert!(written > 100, "{written}");
        for _ in 0..6 {
            output.write_all(&line).expect("no error");
        }
        assert_eq!(read(&mut reader, written * 100).lines().count(), written);
        output.write_all(b"later\n").expect("no error");
        drop(output);
        let mut rest = String::new();
        reader.read_to_string(&mut rest).expect("read");
        assert_eq!(rest, "7 left out\nlater\n");
    }

    #[test]
    fn a_line_that_is_cut_ends_before_the_next_one() {
        let (mut output, mut reader) = output();
        let long = [&[b'x'; 2 * MAX_PIECE][..], b"\n"].concat();
        let written = fill(&mut output, &long);
        assert!(output.is_cut, "a pipe has an even number of pieces, and each line is larger than two");
        let mut rest = String::new();
        let reading = std::thread::spawn(move || reader.read_to_string(&mut rest).map(|_| rest));
        while output.left_out > 0 {
            output.write_all(b"later\n").expect("no error");
        }
        drop(output);
        let rest = reading.join().expect("no panic").expect("read");
        let lines: Vec<_> = rest.lines().collect();
        assert_eq!(lines[..written], vec![&*"x".repeat(2 * MAX_PIECE); written]);
        assert!(MAX_PIECE <= lines[written].len() && lines[written].len() <= 2 * MAX_PIECE, "it is cut");
        assert!(lines[written + 1].ends_with(" left out"), "{}", lines[written + 1]);
        assert_eq!(lines[written + 2..], ["later"]);
    }

    #[test]
    fn a_reader_that_is_gone_is_an_error_and_no_wait() {
        let (mut output, reader) = output();
        drop(reader);
        assert_eq!(output.write(b"x\n").map_err(|error| error.kind()), Err(io::ErrorKind::BrokenPipe));
    }
}
