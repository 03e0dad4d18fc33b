//! Fills a new database with users and tokens for measurements, and writes the secrets to a file.
//!
//! `cargo run --release --example seed -- --database F --tokens N --plaintexts OUT` makes the tokens of a thousand users,
//! each holding `calls:read` and expiring in a year. OUT gets up to a million of them, one a line, evenly spread;
//! OUT.session gets a session of the first user.

use std::{
    fs::File,
    io::{BufWriter, Write},
    path::PathBuf,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::Context;
use clap::Parser;
use patd::{
    domain::secret::{CredentialKind, Plaintext, Prefixes},
    store::{
        Access,
        sqlite::{SqliteSettings, SqliteStore},
    },
};
use rusqlite::{Connection, params};
use uuid::Uuid;

const USERS: u64 = 1000;
const MOST_PLAINTEXTS: u64 = 1_000_000;
const YEAR: i64 = 365 * 24 * 60 * 60;

#[derive(Parser)]
struct Arguments {
    /// The file to make; it must not exist
    #[arg(long)]
    database: PathBuf,
    /// How many tokens
    #[arg(long)]
    tokens: u64,
    /// Where to write plaintexts
    #[arg(long)]
    plaintexts: PathBuf,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    anyhow::ensure!(!arguments.database.exists(), "{} exists already", arguments.database.display());
    // The store makes the schema; the rows then go in without its guarantees, which a new file does not need.
    drop(SqliteStore::open(&settings(&arguments.database), Access::Create)?);
    let mut connection = Connection::open(&arguments.database)?;
    connection.execute_batch("PRAGMA synchronous = OFF; PRAGMA cache_size = -262144;")?;

    let prefixes = Prefixes::new("ses_", "pat_", "talq_")?;
    let now = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs())?;
    let users: Vec<Uuid> = (0..USERS).map(|_| Uuid::now_v7()).collect();
    let mut plaintexts = BufWriter::new(File::create(&arguments.plaintexts)?);
    let every = arguments.tokens.div_ceil(MOST_PLAINTEXTS).max(1);

    let transaction = connection.transaction()?;
    {
        let mut user = transaction.prepare(
            "INSERT INTO users (id, name, email, email_canonical, password_hash, created_at, current_environment_id)
             VALUES (?1, ?2, ?3, ?3, '$argon2id$nobody signs in$', ?4, ?5)",
        )?;
        let mut environment = transaction.prepare(
            "INSERT INTO environments (id, owner_id, name, is_default, created_at) VALUES (?1, ?2, 'Default', 1, ?3)",
        )?;
        for (number, id) in users.iter().enumerate() {
            let (name, email) = (format!("User {number}"), format!("user{number}@example.com"));
            let current = Uuid::now_v7();
            user.execute(params![id.as_bytes(), name, email, now, current.as_bytes()])?;
            environment.execute(params![current.as_bytes(), id.as_bytes(), now])?;
        }
        let session = Plaintext::generate(CredentialKind::Session, &prefixes)?;
        transaction.execute(
            "INSERT INTO sessions (id, user_id, hash, created_at, last_used_at, expires_at)
             VALUES (?1, ?2, ?3, ?4, ?4, ?5)",
            params![Uuid::now_v7().as_bytes(), users[0].as_bytes(), session.hash().as_bytes(), now, now + YEAR],
        )?;
        std::fs::write(arguments.plaintexts.with_extension("session"), session.expose())?;

        let mut token = transaction.prepare(
            "INSERT INTO tokens (id, owner_id, hash, hint, name, abilities, created_at, expires_at, family_id)
             VALUES (?1, ?2, ?3, ?4, ?5, 'calls:read', ?6, ?7, ?1)",
        )?;
        for number in 0..arguments.tokens {
            let secret = Plaintext::generate(CredentialKind::PersonalAccessToken, &prefixes)?;
            let owner = users[usize::try_from(number % USERS)?];
            token.execute(params![
                Uuid::now_v7().as_bytes(),
                owner.as_bytes(),
                secret.hash().as_bytes(),
                secret.hint().to_string(),
                format!("token {number}"),
                now,
                now + YEAR
            ])?;
            if number % every == 0 {
                writeln!(plaintexts, "{}", secret.expose())?;
            }
        }
    }
    transaction.commit().context("the rows were not committed")?;
    plaintexts.flush()?;
    connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE);")?;
    Ok(())
}

fn settings(database: &std::path::Path) -> SqliteSettings {
    SqliteSettings {
        path: database.to_owned(),
        readers: 1,
        pool_timeout: Duration::from_secs(2),
        busy_timeout: Duration::from_secs(5),
        write_queue: 64,
    }
}
