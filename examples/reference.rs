//! The reference of the measurements: the least that a server with the same framework and the same file could do.
//!
//! `--mode ceiling` reads the header and answers a constant. `--mode headers` does the same with as many headers as an
//! answer that allows a request. `--mode select` looks the token up on the worker's own connection. All answer
//! `GET /check`. `POST /create` inserts a row in a group commit, with checkpoints on a thread of their own, and without
//! authentication.

use std::{
    cell::RefCell,
    path::{Path, PathBuf},
    sync::mpsc::{Receiver, Sender, channel},
    thread,
    time::Duration,
};

use actix_web::{
    App, HttpRequest, HttpResponse, HttpServer,
    http::header::{AUTHORIZATION, HeaderName, HeaderValue},
    web,
};
use clap::{Parser, ValueEnum};
use patd::domain::secret::{CredentialKind, Plaintext, Prefixes, PresentedCredential};
use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};
use tokio::sync::oneshot;
use uuid::Uuid;

const MOST_A_COMMIT: usize = 512;

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Mode {
    Ceiling,
    Headers,
    Select,
}

#[derive(Parser)]
struct Arguments {
    #[arg(long, value_enum)]
    mode: Mode,
    #[arg(long)]
    port: u16,
    #[arg(long)]
    database: PathBuf,
}

struct State {
    mode: Mode,
    database: PathBuf,
    prefixes: Prefixes,
    creations: Sender<Creation>,
}

struct Creation {
    secret: Plaintext,
    name: String,
    done: oneshot::Sender<i64>,
}

#[actix_web::main]
async fn main() -> anyhow::Result<()> {
    let Arguments { mode, port, database } = Arguments::parse();
    let owner: Vec<u8> = open(&database)?.query_row("SELECT id FROM users LIMIT 1", [], |row| row.get(0))?;
    let (creations, queue) = channel();
    let writer = open(&database)?;
    writer.pragma_update(None, "wal_autocheckpoint", 0)?;
    let checkpoints = open(&database)?;
    thread::spawn(move || write(writer, &queue, &owner));
    thread::spawn(move || {
        loop {
            thread::sleep(Duration::from_millis(100));
            let _ = checkpoints.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()));
        }
    });
    let prefixes = Prefixes::new("ses_", "pat_", "talq_")?;
    let state = web::Data::new(State { mode, database, prefixes, creations });
    let app = move || {
        App::new()
            .app_data(state.clone())
            .route("/check", web::get().to(check))
            .route("/create", web::post().to(create))
    };
    Ok(HttpServer::new(app).workers(1).tcp_nodelay(true).bind(("127.0.0.1", port))?.run().await?)
}

fn open(database: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(database)?;
    connection.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA busy_timeout = 5000;")?;
    Ok(connection)
}

thread_local! {
    static READER: RefCell<Option<Connection>> = const { RefCell::new(None) };
}

async fn check(request: HttpRequest, state: web::Data<State>) -> HttpResponse {
    let token = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let Some(token) = token.and_then(|value| value.strip_prefix("Bearer ")) else {
        return HttpResponse::Unauthorized().finish();
    };
    match state.mode {
        Mode::Ceiling => return HttpResponse::Ok().finish(),
        Mode::Headers => return with_headers(),
        Mode::Select => {}
    }
    let Ok(presented) = PresentedCredential::parse(token, &state.prefixes) else {
        return HttpResponse::Unauthorized().finish();
    };
    let found = READER.with(|reader| {
        let mut reader = reader.borrow_mut();
        let reader = match &mut *reader {
            Some(reader) => reader,
            none => none.insert(open(&state.database)?),
        };
        let mut statement = reader.prepare_cached("SELECT expires_at FROM tokens WHERE hash = ?1")?;
        statement.query_row([presented.hash.as_bytes()], |row| row.get::<_, Option<i64>>(0)).optional()
    });
    match found {
        Ok(Some(_)) => HttpResponse::Ok().finish(),
        Ok(None) => HttpResponse::Unauthorized().finish(),
        Err(_) => HttpResponse::ServiceUnavailable().finish(),
    }
}

/// The headers of an answer that allows a request, with values of the same length.
const HEADERS: [(HeaderName, HeaderValue); 13] = [
    header("remote-user", "01900000-0000-7000-8000-000000000000"),
    header("remote-email", "user0@example.com"),
    header("remote-name", "user 0"),
    header("remote-groups", ""),
    header("x-auth-request-user", "01900000-0000-7000-8000-000000000000"),
    header("x-auth-request-email", "user0@example.com"),
    header("x-auth-token-id", "01900000-0000-7000-8000-000000000001"),
    header("x-auth-token-kind", "personal_access_token"),
    header("x-auth-abilities", "calls:read"),
    header("x-auth-environment-id", ""),
    header("cache-control", "no-store"),
    header("x-content-type-options", "nosniff"),
    header("x-request-id", "01900000-0000-7000-8000-000000000002"),
];

const fn header(name: &'static str, value: &'static str) -> (HeaderName, HeaderValue) {
    (HeaderName::from_static(name), HeaderValue::from_static(value))
}

fn with_headers() -> HttpResponse {
    let mut response = HttpResponse::Ok().finish();
    for (name, value) in HEADERS {
        response.headers_mut().append(name, value);
    }
    response
}

async fn create(body: web::Bytes, state: web::Data<State>) -> HttpResponse {
    let Ok(secret) = Plaintext::generate(CredentialKind::PersonalAccessToken, &state.prefixes) else {
        return HttpResponse::InternalServerError().finish();
    };
    let shown = secret.expose().to_owned();
    let (done, number) = oneshot::channel();
    let name = String::from_utf8_lossy(&body).into_owned();
    if state.creations.send(Creation { secret, name, done }).is_err() {
        return HttpResponse::ServiceUnavailable().finish();
    }
    match number.await {
        Ok(number) => HttpResponse::Created().body(format!(r#"{{"number":{number},"token":"{shown}"}}"#)),
        Err(_) => HttpResponse::ServiceUnavailable().finish(),
    }
}

fn write(mut connection: Connection, queue: &Receiver<Creation>, owner: &[u8]) {
    while let Ok(first) = queue.recv() {
        let mut batch = vec![first];
        batch.extend(queue.try_iter().take(MOST_A_COMMIT - 1));
        let numbers = commit(&mut connection, &batch, owner).unwrap_or_default();
        for (creation, number) in batch.into_iter().zip(numbers) {
            let _ = creation.done.send(number);
        }
    }
}

fn commit(connection: &mut Connection, batch: &[Creation], owner: &[u8]) -> rusqlite::Result<Vec<i64>> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut numbers = Vec::with_capacity(batch.len());
    for Creation { secret, name, .. } in batch {
        let mut insert = transaction.prepare_cached(
            "INSERT INTO tokens (id, owner_id, hash, hint, name, abilities, created_at, family_id)
             VALUES (?1, ?2, ?3, ?4, ?5, 'calls:read', 0, ?1)",
        )?;
        let id = Uuid::now_v7();
        insert.execute(params![id.as_bytes(), owner, secret.hash().as_bytes(), secret.hint().to_string(), name])?;
        numbers.push(transaction.last_insert_rowid());
    }
    transaction.commit()?;
    Ok(numbers)
}
