//! The command's end: finds the server of a database, sends it a request and takes in the answer, in bounded time.

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
    items::{Intake, Items},
    request::{PROTOCOL, RELEASE, Request},
    socket::{Place, trusts},
};
use crate::ops::Context;

/// How long a command waits for the answer. A list may take so long for its first piece and between two.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a list may take for the next piece, which a sort holds back until it has read everything.
const PATIENCE_WITH_LISTS: Duration = Duration::from_secs(60);
/// After how long a full queue of the server is tried again.
const AGAIN: Duration = Duration::from_millis(20);

/// What a command says before its request.
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

/// The server of this database; `None` where none listens, or none that this user may talk to.
pub async fn find(database: &Path) -> Result<Option<Server>, Error> {
    let begun = Instant::now();
    let Ok(place) = Place::beside(database) else { return Ok(None) };
    let Ok((address, _directory)) = place.address() else { return Ok(None) };
    let socket = place.path();
    let stream = loop {
        match UnixStream::connect(&address).await {
            Ok(stream) => break stream,
            // Many commands at once.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock && begun.elapsed() < PATIENCE => {
                sleep(AGAIN).await;
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                return Err(Error::NotChanged(format!("the server at {} takes no commands", socket.display())));
            }
            Err(_) => return Ok(None),
        }
    };
    // Passwords go only to a server that could read the database anyway.
    let owner = std::fs::metadata(database).map(|found| std::os::unix::fs::MetadataExt::uid(&found)).ok();
    let user = stream.peer_cred().map_err(|error| Error::NotChanged(error.to_string()))?.uid();
    if !trusts(user) && owner != Some(user) {
        let socket = socket.display();
        return Err(Error::NotChanged(format!(
            "{socket} belongs to another user's program (user id {user}): remove it"
        )));
    }
    Ok(Some(Server { stream, socket, begun }))
}

impl Server {
    /// Has the server carry out the request.
    pub async fn ask(mut self, request: &Request) -> Result<Items, Error> {
        let mut deadline = self.begun + PATIENCE;
        let line = |value: io::Result<Vec<u8>>| value.map_err(|error| Error::Defect(error.to_string()));
        let greeting =
            line(serde_json::to_vec(&Greeting { protocol: PROTOCOL, release: RELEASE }).map_err(Into::into))?;
        let request_line = Zeroizing::new(line(serde_json::to_vec(request).map_err(Into::into))?);
        let message = Zeroizing::new([&greeting[..], b"\n", &request_line, b"\n"].concat());
        // Without its last byte no server carries it out.
        match timeout_at(deadline, self.stream.write_all(&message)).await {
            Ok(Ok(())) => {}
            // It may have refused without reading to the end: then the answer says why.
            Ok(Err(_)) => {}
            Err(_) => return Err(Error::NotChanged(self.late())),
        }
        let mut intake = Intake::new();
        let mut piece = vec![0; 32 * 1024];
        loop {
            if matches!(request, Request::ListTokens(_) | Request::ListUsers(_)) {
                deadline = Instant::now() + PATIENCE_WITH_LISTS;
            }
            let read = match timeout_at(deadline, self.stream.read(&mut piece)).await {
                Ok(Ok(read)) => read,
                Ok(Err(error)) => return Err(in_doubt(request, format!("the server broke off: {error}"))),
                Err(_) => return Err(in_doubt(request, self.late())),
            };
            let kept = |error: io::Error| in_doubt(request, format!("the answer cannot be kept: {error}"));
            let is_last = intake.take(&piece[..read]).map_err(kept)?;
            if is_last || read == 0 {
                break;
            }
        }
        intake.finish().unwrap_or_else(|| Err(in_doubt(request, "the server broke off its answer".to_owned())))
    }

    fn late(&self) -> String {
        format!("the server at {} did not answer in {} s", self.socket.display(), PATIENCE.as_secs())
    }
}

/// A change whose answer was lost is in doubt.
fn in_doubt(request: &Request, why: String) -> Error {
    let error = Error::Unknown(why);
    if request.is_change() { error } else { error.of_question() }
}

/// Carries out the request in this process, where no server has the database.
pub async fn carry_out(ctx: &Context, request: Request) -> Result<Items, Error> {
    let is_change = request.is_change();
    let (output, mut chunks) = Output::new();
    let take = async {
        let mut intake = Intake::new();
        while let Some(chunk) = chunks.recv().await {
            intake.take(&chunk)?;
        }
        io::Result::Ok(intake)
    };
    let ((), taken) = tokio::join!(execute(ctx, request, output), take);
    // What a judged token took of its quota beyond this one use. The server keeps it for the next.
    if let Err(error) = ctx.return_leases().await {
        log::warn!(error:%; "uses of a quota were not given back");
    }
    match taken.map(Intake::finish) {
        Ok(Some(outcome)) => outcome,
        Ok(None) => Err(Error::Defect("the answer broke off".to_owned())),
        Err(error) => {
            let error = Error::Unknown(format!("the answer cannot be kept: {error}"));
            Err(if is_change { error } else { error.of_question() })
        }
    }
}
