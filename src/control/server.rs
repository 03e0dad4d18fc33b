//! The server's side: receives requests on a Unix socket beside the database and executes them on the server's context.
//!
//! It has a thread of its own, so that lists and slow commands take no time from the threads that answer checks. The mode of
//! the socket lets only its owner connect. Each peer must run as the same user or as root.

use std::{io, path::Path, rc::Rc, sync::Arc, thread::JoinHandle, time::Duration};

use serde::Deserialize;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{
        UnixListener, UnixStream,
        unix::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::{Semaphore, mpsc, oneshot},
    task::LocalSet,
    time::timeout,
};

use super::{
    error::Error,
    execute::execute,
    frame::{Frame, Output},
    request::{PROTOCOL, RELEASE, Request},
    socket::{ListeningSocket, SocketFile, SocketLocation, is_trusted},
};
use crate::ops::Context;

/// How many commands are served at once. Others wait.
const MOST_CLIENTS: usize = 16;
/// How long a command may take to send its request.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a command may take to read the next chunk of its answer. A list keeps a read transaction open meanwhile.
const READ_TIMEOUT: Duration = Duration::from_secs(10);
/// The longest accepted line. A token with all its limits takes 16 KiB.
const LONGEST_LINE: u64 = 64 * 1024;
/// The first line that a command sends.
#[derive(Deserialize)]
struct Greeting {
    protocol: u32,
}

/// A listener that runs until it is stopped.
pub struct Server {
    /// Sends the time that requests in progress may still take.
    stop: oneshot::Sender<Duration>,
    ended: oneshot::Receiver<()>,
    thread: JoinHandle<()>,
}

impl Server {
    /// Listens beside `database` and executes each request on the context that `context` returns then. The caller holds the
    /// server's lock of the database.
    pub fn start(database: &Path, context: impl Fn() -> Context + Send + 'static) -> io::Result<Self> {
        let (listener, file) = ListeningSocket::new(&SocketLocation::beside(database)?)?.into_parts();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
        let (stop, stopped) = oneshot::channel();
        let (end, ended) = oneshot::channel();
        let thread = std::thread::Builder::new().name("patd-control".into()).spawn(move || {
            let tasks = LocalSet::new();
            let served = tasks.block_on(&runtime, serve(listener, file, context, stopped));
            if let Err(error) = served {
                log::error!("control: no more commands are accepted: {error}");
            }
            // This cancels requests that are still in progress.
            drop(tasks);
            let _ = end.send(());
        })?;
        Ok(Self { stop, ended, thread })
    }

    /// Accepts no more requests, removes the socket, and waits up to `grace` for requests in progress. Then they are cancelled.
    pub async fn stop(self, grace: Duration) {
        let _ = self.stop.send(grace);
        let _ = self.ended.await;
        // The thread ends now.
        drop(self.thread.join());
    }
}

async fn serve(
    listener: std::os::unix::net::UnixListener,
    file: SocketFile,
    context: impl Fn() -> Context,
    mut stopped: oneshot::Receiver<Duration>,
) -> io::Result<()> {
    let listener = UnixListener::from_std(listener)?;
    let permits = Arc::new(Semaphore::new(MOST_CLIENTS));
    let lists = Rc::new(Semaphore::new(1));
    let grace = loop {
        let accepted = async {
            // The semaphore is never closed.
            let permit = Arc::clone(&permits).acquire_owned().await.ok();
            (listener.accept().await, permit)
        };
        let (connection, permit) = tokio::select! {
            accepted = accepted => accepted,
            grace = &mut stopped => break grace.unwrap_or_default(),
        };
        let stream = match connection {
            Ok((stream, _)) => stream,
            Err(error) => {
                // No file descriptors left, for example. Commands wait in the queue.
                log::warn!("control: a command was not accepted: {error}");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let (context, lists) = (context(), Rc::clone(&lists));
        tokio::task::spawn_local(async move {
            if let Err(error) = answer(stream, &context, &lists).await {
                log::debug!("control: a command was not answered: {error}");
            }
            drop(permit);
        });
    };
    drop((listener, file));
    let all = u32::try_from(MOST_CLIENTS).unwrap_or(u32::MAX);
    // When all permits are free, no request is in progress.
    drop(timeout(grace, permits.acquire_many(all)).await);
    Ok(())
}

async fn answer(stream: UnixStream, ctx: &Context, lists: &Semaphore) -> io::Result<()> {
    let peer = stream.peer_cred()?;
    let (reader, writer) = stream.into_split();
    if !is_trusted(peer.uid()) {
        log::warn!(uid = peer.uid(); "control: a command of another user was refused");
        let refused = "the server takes commands of its own user and of root alone";
        return refuse(writer, Error::Refused(refused.to_owned())).await;
    }
    let mut reader = BufReader::new(reader);
    let request = match timeout(REQUEST_TIMEOUT, read_request(&mut reader)).await {
        Ok(Ok(request)) => request,
        Ok(Err(RequestError::Refused(error))) => return refuse(writer, error).await,
        Ok(Err(RequestError::Io(error))) => return Err(error),
        Err(_) => return Err(io::ErrorKind::TimedOut.into()),
    };
    // One list at a time: each keeps a read transaction open, and there is one connection for lists.
    let _turn = match request {
        Request::ListTokens(_) | Request::ListUsers(_) => lists.acquire().await.ok(),
        _ => None,
    };
    let (output, chunks) = Output::new();
    let answered = async {
        let ((), written) = tokio::join!(execute(ctx, request, output), write(writer, chunks));
        written
    };
    tokio::select! {
        answered = answered => answered,
        // If the command disconnects, a change that still waits in the queue is not made.
        () = end_of(reader) => Err(io::ErrorKind::ConnectionAborted.into()),
    }
}

/// Why a request was not read.
enum RequestError {
    Refused(Error),
    Io(io::Error),
}

impl From<io::Error> for RequestError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

async fn read_request(reader: &mut BufReader<OwnedReadHalf>) -> Result<Request, RequestError> {
    let malformed = |error: serde_json::Error| {
        // The message of the parser may contain a part of the request, for example a password.
        let position = format!("line {} column {}", error.line(), error.column());
        RequestError::Refused(Error::Defect(format!("the server cannot read the request ({position})")))
    };
    let greeting: Greeting = serde_json::from_slice(&read_line(reader).await?).map_err(malformed)?;
    if greeting.protocol != PROTOCOL {
        return Err(RequestError::Refused(Error::OtherRelease(RELEASE.to_owned())));
    }
    serde_json::from_slice(&read_line(reader).await?).map_err(malformed)
}

async fn read_line(reader: &mut BufReader<OwnedReadHalf>) -> io::Result<zeroize::Zeroizing<Vec<u8>>> {
    let mut line = zeroize::Zeroizing::new(Vec::new());
    reader.take(LONGEST_LINE).read_until(b'\n', &mut line).await?;
    match line.ends_with(b"\n") {
        true => Ok(line),
        false => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

async fn refuse(mut writer: OwnedWriteHalf, error: Error) -> io::Result<()> {
    let line = Frame::<()>::Failed(error).line();
    timeout(READ_TIMEOUT, writer.write_all(&line)).await?
}

async fn write(mut writer: OwnedWriteHalf, mut chunks: mpsc::Receiver<Vec<u8>>) -> io::Result<()> {
    while let Some(chunk) = chunks.recv().await {
        timeout(READ_TIMEOUT, writer.write_all(&chunk)).await??;
    }
    writer.shutdown().await
}

/// Waits until the command closes the connection. It sends nothing after its request.
async fn end_of(mut reader: BufReader<OwnedReadHalf>) {
    let mut ignored = [0; 64];
    while let Ok(1..) = reader.read(&mut ignored).await {}
}
