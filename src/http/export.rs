//! The export of personal data.
//!
//! It is read and sent in batches of at most 256 KiB, each when the client has taken the one before. So it needs little
//! memory, and a client that reads slowly keeps no transaction open. Before each batch, the session is checked again: an
//! export of a session that has ended stops, and its client sees that the answer is incomplete.

use actix_web::{
    HttpRequest, HttpResponse,
    http::header::{self, ContentType},
    web::Bytes,
};
use futures_util::{Stream, stream};

use super::{
    error::ApiError,
    input::{
        authorization_header::bearer,
        guard::{Guard, SessionUser},
    },
    state::{answer_memory::ReservedMemory, current::State},
    wire::connections::connection::Sending,
};
use crate::{
    domain::id::UserId,
    ops::{self, export},
    store::{ExportBatch, ExportPosition},
    views::{ExportDocument, ExportRowView},
};

/// What one batch may take, in KiB.
const BATCH: u32 = 512;

pub(super) async fn show(
    request: HttpRequest,
    state: State,
    Guard(signed_in): Guard<SessionUser>,
) -> Result<HttpResponse, ApiError> {
    let credential = bearer(request.headers())?.to_owned();
    answer(&request, state, signed_in.user.id, credential).await
}

/// The export of `user`, whose session has the secret `credential`.
pub(super) async fn answer(
    request: &HttpRequest,
    state: State,
    user: UserId,
    credential: String,
) -> Result<HttpResponse, ApiError> {
    let memory = state.answer_memory.reserve(Some(user.uuid()), BATCH).await?;
    export::prepare(&state.ops).await?;
    // Before the head of the answer, so that an outage is answered with 503.
    let first = export::next(&state.ops, user, ExportPosition::default()).await?;
    let export = Export {
        state: state.clone(),
        user,
        credential,
        document: ExportDocument::default(),
        batch: first,
        is_done: false,
        _memory: memory,
    };
    Ok(HttpResponse::Ok()
        .insert_header(ContentType::json())
        .insert_header((header::CONTENT_DISPOSITION, format!("attachment; filename=\"patd-export-{user}.json\"")))
        .streaming(export.chunks(Sending::on(request))))
}

struct Export {
    state: State,
    user: UserId,
    /// The session token, so this has no Debug.
    credential: String,
    document: ExportDocument,
    /// What is sent next. `None` at the end.
    batch: Option<ExportBatch>,
    is_done: bool,
    _memory: ReservedMemory,
}

impl Export {
    fn chunks(self, sending: Sending) -> impl Stream<Item = Result<Bytes, ops::Error>> {
        stream::unfold((self, sending), |(mut export, sending)| async move {
            if export.is_done {
                return None;
            }
            let chunk = export.next_chunk().await;
            // The client sees that the answer is incomplete, because its last chunk is missing.
            export.is_done |= chunk.is_err();
            Some((chunk, (export, sending)))
        })
    }

    async fn next_chunk(&mut self) -> Result<Bytes, ops::Error> {
        // Also before the end, and before what was read when the session was still good.
        export::expect_session(&self.state.ops, &self.credential, self.user).await?;
        match self.batch.take() {
            Some(ExportBatch { section, rows, next, .. }) => {
                self.document.section(section);
                for row in rows {
                    let row = serde_json::to_string(&ExportRowView(row));
                    self.document.row(&row.map_err(|error| ops::Error::Internal(error.to_string()))?);
                }
                self.batch = export::next(&self.state.ops, self.user, next).await?;
            }
            None => {
                self.document.end();
                self.is_done = true;
            }
        }
        Ok(self.document.take().into())
    }
}
