//! The command's side: finds the server of a database, sends it a request and receives the answer, with time limits.

use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::Serialize;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
    time::{Instant, sleep, timeout_at},
};
use zeroize::Zeroizing;

use super::{
    error::Error,
    execute::execute,
    frame::Output,
    items::{Items, Receiver},
    request::{PROTOCOL, RELEASE, Request},
    socket::{SocketLocation, is_trusted},
};
use crate::ops::Context;

/// How long a command waits for the answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a command waits for each chunk of a list. Sorting delays the first chunk until all rows are read.
const LIST_TIMEOUT: Duration = Duration::from_secs(60);
/// How long to wait before connecting again if the server's queue is full.
const RETRY_AFTER: Duration = Duration::from_millis(20);

/// The first line that a command sends.
#[derive(Serialize)]
struct Greeting {
    protocol: u32,
    release: &'static str,
}

/// A server that listens for commands.
pub struct Server {
    stream: UnixStream,
    socket: PathBuf,
    begun: Instant,
}

/// The server of this database. `None` if none listens, or if this user may not connect to it.
pub async fn find(database: &Path) -> Result<Option<Server>, Error> {
    let begun = Instant::now();
    let Ok(location) = SocketLocation::beside(database) else { return Ok(None) };
    let Ok((address, _directory)) = location.address() else { return Ok(None) };
    let socket = location.path();
    let stream = loop {
        match UnixStream::connect(&address).await {
            Ok(stream) => break stream,
            // The queue is full of other commands.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock && begun.elapsed() < ANSWER_TIMEOUT => {
                sleep(RETRY_AFTER).await;
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                return Err(Error::NotChanged(format!("the server at {} takes no commands", socket.display())));
            }
            Err(_) => return Ok(None),
        }
    };
    // Passwords are sent only to a server that can read the database.
    let owner = std::fs::metadata(database).map(|found| std::os::unix::fs::MetadataExt::uid(&found)).ok();
    let user = stream.peer_cred().map_err(|error| Error::NotChanged(error.to_string()))?.uid();
    if !is_trusted(user) && owner != Some(user) {
        let socket = socket.display();
        return Err(Error::NotChanged(format!(
            "{socket} belongs to another user's program (user id {user}): remove it"
        )));
    }
    Ok(Some(Server { stream, socket, begun }))
}

impl Server {
    /// Sends the request to the server and receives its answer.
    pub async fn send(mut self, request: &Request) -> Result<Items, Error> {
        let mut deadline = self.begun + ANSWER_TIMEOUT;
        let line = |value: io::Result<Vec<u8>>| value.map_err(|error| Error::Defect(error.to_string()));
        let greeting =
            line(serde_json::to_vec(&Greeting { protocol: PROTOCOL, release: RELEASE }).map_err(Into::into))?;
        let request_line = Zeroizing::new(line(serde_json::to_vec(request).map_err(Into::into))?);
        let message = Zeroizing::new([&greeting[..], b"\n", &request_line, b"\n"].concat());
        // The server executes nothing before it has the last byte.
        match timeout_at(deadline, self.stream.write_all(&message)).await {
            Ok(Ok(())) => {}
            // The server may have refused without reading everything. Then its answer says why.
            Ok(Err(_)) => {}
            Err(_) => return Err(Error::NotChanged(self.late())),
        }
        let mut receiver = Receiver::new();
        let mut chunk = vec![0; 32 * 1024];
        loop {
            if request.is_long() {
                deadline = Instant::now() + LIST_TIMEOUT;
            }
            let read = match timeout_at(deadline, self.stream.read(&mut chunk)).await {
                Ok(Ok(read)) => read,
                Ok(Err(error)) => {
                    return Err(in_doubt(request, format!("the connection to the server failed: {error}")));
                }
                Err(_) => return Err(in_doubt(request, self.late())),
            };
            let not_stored = |error: io::Error| in_doubt(request, format!("the answer cannot be stored: {error}"));
            let is_last = receiver.add(&chunk[..read]).map_err(not_stored)?;
            if is_last || read == 0 {
                break;
            }
        }
        receiver.finish().unwrap_or_else(|| Err(in_doubt(request, "the server's answer is incomplete".to_owned())))
    }

    fn late(&self) -> String {
        format!("the server at {} did not answer in {} s", self.socket.display(), ANSWER_TIMEOUT.as_secs())
    }
}

/// The error if no answer arrived. Whether a change was made is unknown.
fn in_doubt(request: &Request, why: String) -> Error {
    let error = Error::Unknown(why);
    if request.is_change() { error } else { error.for_read() }
}

/// Executes the request in this process. For databases without a running server.
pub async fn carry_out(ctx: &Context, request: Request) -> Result<Items, Error> {
    let is_change = request.is_change();
    let (output, mut chunks) = Output::new();
    let take = async {
        let mut receiver = Receiver::new();
        while let Some(chunk) = chunks.recv().await {
            receiver.add(&chunk)?;
        }
        io::Result::Ok(receiver)
    };
    let ((), taken) = tokio::join!(execute(ctx, request, output), take);
    // A check reserves more uses of a quota than it spends. A server would keep the rest for the next check.
    if let Err(error) = ctx.return_leases().await {
        log::warn!(error:%; "reserved uses of a quota were not returned");
    }
    if let Err(error) = ctx.scrub_all().await {
        log::warn!(error:%; "the next start of the server overwrites what the deleted user left in the database");
    }
    match taken.map(Receiver::finish) {
        Ok(Some(outcome)) => outcome,
        Ok(None) => Err(Error::Defect("the answer is incomplete".to_owned())),
        Err(error) => {
            let error = Error::Unknown(format!("the answer cannot be stored: {error}"));
            Err(if is_change { error } else { error.for_read() })
        }
    }
}
